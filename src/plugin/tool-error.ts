const kToolError = Symbol.for("jackfield.ToolError");

/** An error whose message is written for the model: it is what the model reads of the failed call. */
export class ToolError extends Error {
  override readonly name: string = "ToolError";
  readonly [kToolError] = true;
}

/** Tells a ToolError, also one of another copy of this package. */
export function isToolError(reason: unknown): reason is ToolError {
  return typeof reason === "object" && reason !== null && kToolError in reason;
}
