import type { Violation } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ExactJson } from "../json/exact-number.ts";
import { ExactNumber } from "../json/exact-number.ts";
import { escapePointer } from "../json/pointer.ts";
import { maxViolations, violation } from "./violations.ts";

/** The violations of parsed arguments, and whether all their keys are in canonical order. */
export interface Inspection {
  violations: Violation[];
  canonical: boolean;
}

/**
 * Inspects every value of parsed JSON, at most `depth` levels deep: nesting, property names that reach into prototypes,
 * and numbers that a double cannot hold.
 */
export function inspectJson(value: { [key: string]: ExactJson }, depth: number): Inspection {
  const inspection: Inspection = { violations: [], canonical: true };
  inspect(value, "", depth, inspection);
  return inspection;
}

function inspect(value: ExactJson, path: string, levels: number, found: Inspection): void {
  if (found.violations.length >= maxViolations) return;
  if (typeof value === "number") return inspectNumber(value, path, found);
  if (typeof value !== "object" || value === null) return;
  if (value instanceof ExactNumber) return inspectExactNumber(value, path, found);
  if (levels === 0) {
    // Once is enough.
    if (!found.violations.some(({ message }) => message.startsWith("must not be nested"))) {
      found.violations.push(violation("", "must not be nested as deeply: flatten the arguments"));
    }
    return;
  }
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++)
      inspect(value[index] as ExactJson, `${path}/${index}`, levels - 1, found);
    return;
  }
  let previous = "";
  for (const key of Object.keys(value)) {
    if (key < previous) found.canonical = false;
    previous = key;
    const member = value[key] as ExactJson;
    if (key === "__proto__" || (key === "constructor" && reachesPrototype(member))) {
      found.violations.push(violation(`${path}/${key}`, "is not allowed as a property name"));
    } else if (typeof member === "object" ? member !== null : typeof member === "number") {
      inspect(member, `${path}/${escapePointer(key)}`, levels - 1, found);
    }
  }
}

function inspectNumber(value: number, path: string, found: Inspection): void {
  if (Math.abs(value) <= Number.MAX_SAFE_INTEGER) return;
  found.violations.push(
    violation(path, "must be a number between -(2^53 - 1) and 2^53 - 1: send larger ones as a string"),
  );
}

function inspectExactNumber(value: ExactNumber, path: string, found: Inspection): void {
  inspectNumber(Number(value), path, found);
  if (Math.abs(Number(value)) > Number.MAX_SAFE_INTEGER) return;
  found.violations.push(violation(path, "must be a number with at most 17 digits: send more exact ones as a string"));
}

function reachesPrototype(value: ExactJson): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, "prototype");
}
