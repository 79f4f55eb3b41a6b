const kToolError = Symbol.for("jackfield.ToolError");

/**
 * An error with a message for the model. Throw it from a tool for expected failures, such as an order that does not
 * exist. For any other error the model reads a generic message.
 */
export class ToolError extends Error {
  override readonly name: string = "ToolError";
  readonly [kToolError] = true;
}

/**
 * Reports whether a value is a ToolError. Unlike `instanceof`, it also recognises errors of another copy of this package.
 */
export function isToolError(reason: unknown): reason is ToolError {
  return typeof reason === "object" && reason !== null && kToolError in reason;
}
