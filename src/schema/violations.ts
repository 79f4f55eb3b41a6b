import type { ErrorObject } from "ajv";
import type { Violation } from "../../gen/jackfield/v1/tool_pb.ts";

/** Maximum number of violations reported per value. */
export const maxViolations = 20;

/** Creates a Violation message. */
export function violation(path: string, message: string): Violation {
  return { $typeName: "jackfield.v1.Violation", path, message };
}

/** Collects distinct violations, up to `maxViolations`. */
export class ViolationList {
  readonly violations: Violation[] = [];
  readonly #seen = new Set<string>();

  get isFull(): boolean {
    return this.violations.length >= maxViolations;
  }

  /**
   * Adds an error with Ajv's message, extended by the property name or the allowed values, so that a model can correct
   * it.
   */
  add(error: ErrorObject): void {
    const path = excerpt(error.instancePath);
    const { missingProperty, additionalProperty, unevaluatedProperty } = error.params as Record<
      string,
      string | undefined
    >;
    const name = missingProperty ?? additionalProperty ?? unevaluatedProperty ?? "";
    // Checked before the message is built, which may list thousands of values.
    if (!this.#isNew(JSON.stringify([path, error.schemaPath, excerpt(name)]))) return;
    const message = excerpt(messageOf(error));
    if (!this.#isNew(JSON.stringify([path, message]))) return;
    this.violations.push(violation(path, message));
  }

  #isNew(key: string): boolean {
    if (this.isFull || this.#seen.has(key)) return false;
    this.#seen.add(key);
    return true;
  }
}

/** Maximum length of a violation's path and of its message, in code units. */
const maxLength = 2000;

function excerpt(text: string): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength).toWellFormed()}…`;
}

function messageOf({ keyword, message, params }: ErrorObject): string {
  const text = message ?? `does not pass ${keyword}`;
  const details = params as {
    additionalProperty?: string;
    unevaluatedProperty?: string;
    allowedValues?: unknown[];
    allowedValue?: unknown;
  };
  const surplus = details.additionalProperty ?? details.unevaluatedProperty;
  if (surplus !== undefined) return `${text}: ${surplus}`;
  if (details.allowedValues !== undefined) return `${text}: ${details.allowedValues.map(literal).join(", ")}`;
  if (keyword === "const") return `${text}: ${literal(details.allowedValue)}`;
  return text;
}

function literal(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}
