import type { JsonSchema } from "../plugin/tool.ts";

/** A schema that cannot be used, with the reason in words. */
export class SchemaError extends Error {
  override readonly name: string = "SchemaError";
}

/**
 * What a schema may have at most: properties, schemas and values of other keywords at all levels together, values of one
 * `enum`, levels of nesting. The compiler takes quadratic time for some of them.
 */
const most = { properties: 2000, nodes: 10_000, enumValues: 2000, levels: 64 };

const types: ReadonlySet<unknown> = new Set(["string", "number", "integer", "boolean", "object", "array", "null"]);

/** Words for types that are common in the wild, and what JSON Schema calls them. */
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
 * Checks what a compiler of schemas would not say in words, or only slowly: size, nesting, unknown type words, foreign
 * references, an unknown draft, and names in `required` that are not in `properties`. Throws a SchemaError.
 */
export function checkSchema(schema: JsonSchema): void {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema))
    throw new SchemaError("it is not an object");
  const draft = schema["$schema"];
  if (draft !== undefined && !/draft-07|2020-12/.test(JSON.stringify(draft))) {
    throw new SchemaError(`its $schema is ${JSON.stringify(draft)}: only draft-07 and 2020-12 are known`);
  }
  check(schema, "", 0, { properties: 0, nodes: 0 });
}

interface Count {
  properties: number;
  nodes: number;
}

function check(node: unknown, path: string, level: number, count: Count): void {
  if (++count.nodes > most.nodes) throw new SchemaError(`it has more than ${most.nodes} parts`);
  if (typeof node !== "object" || node === null) return;
  if (level > most.levels) throw new SchemaError(`it is nested deeper than ${most.levels} levels`);
  if (Array.isArray(node)) return node.forEach((item, index) => check(item, `${path}/${index}`, level + 1, count));
  const schema = node as Record<string, unknown>;
  checkType(schema["type"], path);
  // DANGER: an asynchronous validator answers with a promise, which would pass for a yes.
  if (schema["$async"] !== undefined) throw new SchemaError(`${path}/$async is not known to JSON Schema`);
  const values = schema["enum"];
  if (Array.isArray(values)) {
    count.nodes += values.length;
    if (values.length > most.enumValues) throw new SchemaError(`${path}/enum has more than ${most.enumValues} values`);
  }
  const reference = schema["$ref"];
  if (typeof reference === "string" && !reference.startsWith("#")) {
    throw new SchemaError(
      `${path}/$ref is ${JSON.stringify(reference)}: only references inside the schema are followed`,
    );
  }
  const properties = schema["properties"];
  if (typeof properties === "object" && properties !== null) {
    count.properties += Object.keys(properties).length;
    if (count.properties > most.properties) throw new SchemaError(`it has more than ${most.properties} properties`);
  }
  checkRequired(schema, path);
  for (const [key, value] of Object.entries(schema)) {
    // Values of these keywords are data or names, not schemas.
    if (key === "enum" || key === "const" || key === "default" || key === "examples" || key === "required") continue;
    if (isSchemaMap(key)) checkMembers(value, `${path}/${key}`, level + 1, count);
    else check(value, `${path}/${key}`, level + 1, count);
  }
}

function checkMembers(members: unknown, path: string, level: number, count: Count): void {
  if (typeof members !== "object" || members === null) return;
  for (const [name, member] of Object.entries(members)) check(member, `${path}/${name}`, level + 1, count);
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
    const hint = better === undefined ? "" : `: say ${better}`;
    throw new SchemaError(`${path}/type is ${JSON.stringify(word)}, which is no type of JSON Schema${hint}`);
  }
}

function checkRequired(
  { required, properties, patternProperties, allOf, anyOf, oneOf }: Record<string, unknown>,
  path: string,
): void {
  if (!Array.isArray(required)) return;
  // A schema that only adds demands to another one's properties names them there.
  if (patternProperties !== undefined || allOf !== undefined || anyOf !== undefined || oneOf !== undefined) return;
  if (properties === undefined && path !== "") return;
  const known = typeof properties === "object" && properties !== null ? properties : {};
  for (const name of required) {
    if (typeof name !== "string" || !Object.hasOwn(known, name)) {
      throw new SchemaError(`${path}/required names ${JSON.stringify(name)}, which is not in properties`);
    }
  }
}
