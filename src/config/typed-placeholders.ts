import type { ErrorObject } from "ajv";
import { unescapePointer } from "../json/pointer.ts";

/**
 * Replaces texts from placeholders where the schema requires a number or a boolean, according to Ajv's errors (with
 * `verbose`). `pointers` are those of the values that consist of one placeholder. Reports whether it replaced any.
 */
export function convertPlaceholders(
  root: unknown,
  errors: readonly ErrorObject[],
  pointers: ReadonlySet<string>,
): boolean {
  let converted = false;
  for (const { keyword, instancePath, params, data } of errors) {
    if (!pointers.has(instancePath)) continue;
    const isFlag = keyword === "enum" && (params["allowedValues"] as unknown[]).includes(true);
    const value = typedValue(String(data), isFlag ? "boolean" : keyword === "type" ? String(params["type"]) : "");
    if (value === undefined) continue;
    replaceAt(root, instancePath, value);
    converted = true;
  }
  return converted;
}

function typedValue(text: string, type: string): number | boolean | undefined {
  if (type === "boolean") return text === "true" ? true : text === "false" ? false : undefined;
  return (type === "integer" || type === "number") && /^-?\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) : undefined;
}

function replaceAt(root: unknown, pointer: string, value: unknown): void {
  const steps = pointer.split("/").slice(1).map(unescapePointer);
  const last = steps.pop() ?? "";
  const parent = steps.reduce((node, step) => (node as Record<string, unknown>)[step], root);
  (parent as Record<string, unknown>)[last] = value;
}
