import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";

/** Maximum length of a name that every model platform accepts, in characters. */
const maxNameLength = 64;

/** Keywords whose values map names to schemas. */
const schemaMaps: ReadonlySet<string> = new Set(["properties", "patternProperties", "$defs", "definitions"]);

/** Keywords whose values are data, not schemas. */
const valueKeywords: ReadonlySet<string> = new Set(["enum", "const", "default", "examples", "required"]);

/**
 * Lists parts of a tool's definition that work here but that some models and hosts reject or ignore: a schema whose root
 * is `anyOf`, `oneOf` or `allOf`, `$ref`, and long names. Returns one sentence for each.
 */
export function definitionWarnings({ name, inputSchema, outputSchema }: Tool): string[] {
  const warnings: string[] = [];
  if (name.length > maxNameLength) warnings.push(`tool ${name}: its name has more than ${maxNameLength} characters`);
  for (const [what, schema] of Object.entries({ inputSchema, outputSchema })) {
    if (schema === undefined) continue;
    const warn = (problem: string): void => void warnings.push(`tool ${name}: ${what} ${problem}`);
    for (const keyword of ["anyOf", "oneOf", "allOf"]) {
      if (Object.hasOwn(schema, keyword)) warn(`has ${keyword} at the top level, which some models refuse`);
    }
    const found = partsOf(schema, { references: false, longNames: new Set() });
    if (found.references) warn("uses $ref, which some models do not follow");
    for (const long of found.longNames) warn(`names a property of more than ${maxNameLength} characters: ${long}`);
  }
  return warnings;
}

interface Parts {
  references: boolean;
  readonly longNames: Set<string>;
}

function partsOf(schema: JsonValue, found: Parts): Parts {
  if (Array.isArray(schema)) for (const item of schema) partsOf(item, found);
  if (!isObject(schema)) return found;
  if (typeof schema["$ref"] === "string") found.references = true;
  for (const [keyword, value] of Object.entries(schema)) {
    if (valueKeywords.has(keyword)) continue;
    if (!schemaMaps.has(keyword) || !isObject(value)) {
      partsOf(value, found);
      continue;
    }
    for (const [name, member] of Object.entries(value)) {
      if (keyword === "properties" && name.length > maxNameLength)
        found.longNames.add(`${name.slice(0, maxNameLength)}…`);
      partsOf(member, found);
    }
  }
  return found;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
