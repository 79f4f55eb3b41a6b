import type { JsonSchema } from "../plugin/tool.ts";
import { nativeCost } from "./linear-pattern.ts";
import { estimatePatternSize } from "./pattern-size.ts";

/** Thrown for an unusable schema. The message completes a sentence about the schema. */
export class SchemaError extends Error {
  override readonly name: string = "SchemaError";
}

/**
 * Limits of a schema. `properties`, `nodes` (schemas and values of other keywords), `patterns`, their characters and
 * their compiled size are totals over all levels; `enumValues` and `branches` are per keyword. The compiler takes
 * quadratic time for some of them. `levels` is what clients can decode: protobuf's limit of 100 nested messages leaves
 * 32 levels of JSON in a Struct.
 */
const limits = {
  properties: 2000,
  nodes: 10_000,
  enumValues: 2000,
  branches: 256,
  levels: 32,
  patterns: 256,
  patternCharacters: 16_384,
  patternSize: 5000,
};

const types: ReadonlySet<unknown> = new Set(["string", "number", "integer", "boolean", "object", "array", "null"]);

/** Common but invalid type names, and their names in JSON Schema. */
const oddTypes: Readonly<Record<string, string>> = {
  dict: "object",
  map: "object",
  float: "number",
  double: "number",
  int: "integer",
  long: "integer",
  str: "string",
  String: "string",
  bool: "boolean",
  Boolean: "boolean",
  list: "array",
  tuple: "array",
  Array: "array",
  Object: "object",
  any: "no type at all",
  None: "null",
};

/**
 * Checks what a schema compiler would report unclearly or slowly: size, nesting, patterns, unknown type names, foreign
 * references, an unknown draft, and names in `required` that are not in `properties`. Throws a SchemaError.
 */
export function checkSchema(schema: JsonSchema): void {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema))
    throw new SchemaError("it is not an object");
  const draft = schema["$schema"];
  if (draft !== undefined && !/draft-07|2020-12/.test(JSON.stringify(draft))) {
    throw new SchemaError(`its $schema is ${quoted(draft)}: only draft-07 and 2020-12 are supported`);
  }
  check(schema, "", 1, { properties: 0, nodes: 0, patterns: 0, patternCharacters: 0, patternSize: 0 });
}

/** Running totals of a schema. */
interface Tally {
  properties: number;
  nodes: number;
  patterns: number;
  patternCharacters: number;
  patternSize: number;
}

function check(node: unknown, path: string, level: number, tally: Tally): void {
  countNode(node, tally);
  if (typeof node !== "object" || node === null) return;
  if (level > limits.levels) throw new SchemaError(`it is nested deeper than ${limits.levels} levels`);
  if (Array.isArray(node)) return node.forEach((item, index) => check(item, `${path}/${index}`, level + 1, tally));
  const schema = node as Record<string, unknown>;
  checkType(schema["type"], path);
  // DANGER: an asynchronous validator returns a promise, which would be mistaken for a success.
  if (schema["$async"] !== undefined) throw new SchemaError(`${path}/$async is not known to JSON Schema`);
  checkLists(schema, path);
  checkReference(schema["$ref"], path);
  const properties = schema["properties"];
  if (typeof properties === "object" && properties !== null) {
    tally.properties += Object.keys(properties).length;
    if (tally.properties > limits.properties) throw new SchemaError(`it has more than ${limits.properties} properties`);
  }
  checkPattern(schema["pattern"], tally);
  const byPattern = schema["patternProperties"];
  if (typeof byPattern === "object" && byPattern !== null) {
    for (const pattern of Object.keys(byPattern)) checkPattern(pattern, tally);
  }
  checkRequired(schema, path);
  for (const [key, value] of Object.entries(schema)) {
    // Values of these keywords are data or names, not schemas.
    if (key === "enum" || key === "const" || key === "default" || key === "examples" || key === "required") {
      checkData(value, level + 1, tally);
    } else if (isSchemaMap(key)) checkMembers(value, `${path}/${key}`, level + 1, tally);
    else check(value, `${path}/${key}`, level + 1, tally);
  }
}

function countNode(node: unknown, tally: Tally): void {
  if (++tally.nodes > limits.nodes) throw new SchemaError(`it has more than ${limits.nodes} parts`);
  // In JSON text such a number is one that is out of a double's range, and no client could read it from a list of tools.
  if (typeof node === "number" && !Number.isFinite(node)) throw new SchemaError("its numbers must be finite");
}

function checkMembers(members: unknown, path: string, level: number, tally: Tally): void {
  if (typeof members !== "object" || members === null) return;
  if (level > limits.levels) throw new SchemaError(`it is nested deeper than ${limits.levels} levels`);
  for (const [name, member] of Object.entries(members)) check(member, `${path}/${name}`, level + 1, tally);
}

/** Checks values that are not schemas: they count, and must be decodable too. */
function checkData(value: unknown, level: number, tally: Tally): void {
  countNode(value, tally);
  if (typeof value !== "object" || value === null) return;
  if (level > limits.levels) throw new SchemaError(`it is nested deeper than ${limits.levels} levels`);
  for (const member of Object.values(value)) checkData(member, level + 1, tally);
}

function checkLists(schema: Record<string, unknown>, path: string): void {
  const values = schema["enum"];
  if (Array.isArray(values) && values.length > limits.enumValues) {
    throw new SchemaError(`${path}/enum has more than ${limits.enumValues} values`);
  }
  for (const keyword of ["anyOf", "oneOf", "allOf"]) {
    const branches = schema[keyword];
    if (!Array.isArray(branches) || branches.length <= limits.branches) continue;
    throw new SchemaError(`${path}/${keyword} has more than ${limits.branches} branches`);
  }
}

function checkReference(reference: unknown, path: string): void {
  if (typeof reference !== "string" || reference.startsWith("#")) return;
  throw new SchemaError(`${path}/$ref is ${quoted(reference)}: only references within the schema are supported`);
}

function checkPattern(pattern: unknown, tally: Tally): void {
  if (typeof pattern !== "string") return;
  if (++tally.patterns > limits.patterns) throw new SchemaError(`it has more than ${limits.patterns} patterns`);
  tally.patternCharacters += pattern.length;
  if (tally.patternCharacters > limits.patternCharacters) {
    throw new SchemaError(`its patterns have more than ${limits.patternCharacters} characters together`);
  }
  tally.patternSize += nativeCost(pattern) === undefined ? estimatePatternSize(pattern) : 1;
  if (tally.patternSize > limits.patternSize) {
    throw new SchemaError(`the pattern ${quoted(pattern)} is too large: its counts repeat too much`);
  }
}

/** Formats a value of the schema for a message. */
function quoted(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200).toWellFormed()}…` : text;
}

function isSchemaMap(key: string): boolean {
  return (
    key === "properties" ||
    key === "patternProperties" ||
    key === "definitions" ||
    key === "$defs" ||
    key === "dependentSchemas" ||
    key === "dependencies"
  );
}

function checkType(type: unknown, path: string): void {
  for (const word of Array.isArray(type) ? type : [type]) {
    if (word === undefined || types.has(word)) continue;
    const better = typeof word === "string" ? oddTypes[word] : undefined;
    const hint = better === undefined ? "" : `: use ${better}`;
    throw new SchemaError(`${path}/type is ${quoted(word)}, which is not a JSON Schema type${hint}`);
  }
}

function checkRequired(
  { required, properties, patternProperties, allOf, anyOf, oneOf }: Record<string, unknown>,
  path: string,
): void {
  if (!Array.isArray(required)) return;
  // A schema that only adds constraints to the properties of another one names them there.
  if (patternProperties !== undefined || allOf !== undefined || anyOf !== undefined || oneOf !== undefined) return;
  if (properties === undefined && path !== "") return;
  const known = typeof properties === "object" && properties !== null ? properties : {};
  for (const name of required) {
    if (typeof name !== "string" || !Object.hasOwn(known, name)) {
      throw new SchemaError(`${path}/required names ${quoted(name)}, which is not in properties`);
    }
  }
}
