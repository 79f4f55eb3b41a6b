import { unescapePointer } from "../../json/pointer.ts";
import { isObject } from "../tool-call.ts";

/** Reports whether an argument at the top level is null, which a platform may send for an empty input. */
export function hasNull(args: unknown): args is Record<string, unknown> {
  if (!isObject(args)) return false;
  for (const name in args) if (args[name] === null) return true;
  return false;
}

/** Returns the arguments without null values of optional arguments that may not be null. */
export function withoutNulls(args: Record<string, unknown>, schema: unknown): Record<string, unknown> {
  if (!isObject(schema) || !isObject(schema["properties"])) return args;
  const { properties } = schema;
  const required: readonly unknown[] = Array.isArray(schema["required"]) ? schema["required"] : [];
  const remaining = Object.entries(args).filter(
    ([name, value]) =>
      value !== null ||
      required.includes(name) ||
      !Object.hasOwn(properties, name) ||
      mayBeNull(properties[name], schema, 16),
  );
  return Object.fromEntries(remaining);
}

/**
 * Reports whether null may satisfy a schema. If that cannot be determined, or recursion exceeds `depth` levels, the
 * answer is yes.
 */
function mayBeNull(schema: unknown, root: unknown, depth: number): boolean {
  if (schema === false) return false;
  if (!isObject(schema) || depth === 0) return true;
  const { type, enum: values, anyOf, oneOf, allOf, $ref } = schema;
  if (type !== undefined && ![type].flat().includes("null")) return false;
  if (Array.isArray(values) && !values.includes(null)) return false;
  if ("const" in schema && schema["const"] !== null) return false;
  const may = (part: unknown): boolean => mayBeNull(part, root, depth - 1);
  if (Array.isArray(anyOf) && !anyOf.some(may)) return false;
  if (Array.isArray(oneOf) && !oneOf.some(may)) return false;
  if (Array.isArray(allOf) && !allOf.every(may)) return false;
  return typeof $ref !== "string" || may(referred($ref, root));
}

/** Resolves a reference within the same schema; undefined for any other reference. */
function referred(ref: string, root: unknown): unknown {
  if (!ref.startsWith("#/")) return undefined;
  let found: unknown = root;
  for (const part of ref.slice(2).split("/")) {
    const name = unescapePointer(decodeURIComponent(part));
    found = isObject(found) && Object.hasOwn(found, name) ? found[name] : undefined;
  }
  return found;
}
