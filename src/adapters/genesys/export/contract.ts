import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Tool } from "../../../../gen/jackfield/v1/tool_pb.ts";

/** JSON Schema draft-04, as used in the contract of a data action. */
export type Draft04Schema = JsonObject;

/** A scalar field of a data action's output, and its path in the answer of `POST /tools/{name}`. */
export interface OutputField {
  readonly name: string;
  readonly jsonPath: string;
  /** JSON text used for the field if the answer does not contain it. */
  readonly fallback: string;
  readonly schema: Draft04Schema;
}

/** The contract of a tool, with notes for the person who imports it. */
export interface Contract {
  readonly input: Draft04Schema;
  readonly output: readonly OutputField[];
  /** One sentence per omitted input, and per property that the platform handles in an unusual way. */
  readonly notes: readonly string[];
  /** The reason why the tool cannot be a data action; undefined if it can. */
  readonly skipped: string | undefined;
}

/** Names that Genesys rejects as fields of a data action. */
const reservedNames: ReadonlySet<string> = new Set(
  "orgId integrationId rawRequest Boolean Dynamic Integer List Map None Number String Unknown type dict tuple list".split(
    " ",
  ),
);
const fieldName = /^[A-Za-z][A-Za-z0-9_-]*$/;
const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/;
const scalarTypes: ReadonlySet<string> = new Set(["string", "number", "integer", "boolean"]);
/** Maximum number of inputs of a data action that AI Guides accept. */
const maxGuideInputs = 4;
const conversationInput = "jackfieldConversationId";

/**
 * Converts a tool's schemas to the contract of a Genesys data action: flat, scalar, draft-04, with a description of
 * every field.
 */
export function contractFromTool(tool: Tool, options: { readonly conversation: boolean }): Contract {
  const notes: string[] = [];
  const schema = tool.inputSchema ?? {};
  const required = new Set(stringsOf(schema["required"]));
  const properties: JsonObject = {};
  let skipped: string | undefined;
  for (const [name, property] of Object.entries(objectOf(schema["properties"]))) {
    const problem = inputProblem(name, property);
    if (problem === undefined) {
      properties[name] = inputSchema(name, objectOf(property), notes);
    } else if (required.has(name)) {
      skipped ??= `the required input ${JSON.stringify(name)} ${problem}`;
    } else {
      notes.push(`the optional input ${JSON.stringify(name)} ${problem}: it is left out`);
    }
  }
  const count = Object.keys(properties).length;
  if (count > maxGuideInputs) notes.push(`it has ${count} inputs; an AI Guide takes at most ${maxGuideInputs}`);
  if (options.conversation) {
    properties[conversationInput] = {
      type: "string",
      title: "Conversation id",
      description: "Id of the conversation, so that the same request within it is recognised.",
    };
  }
  const requiredInputs = [...required].filter((name) => Object.hasOwn(properties, name));
  const input: JsonObject = {
    $schema: "http://json-schema.org/draft-04/schema#",
    title: tool.name,
    description: tool.description,
    type: "object",
    properties,
    ...(requiredInputs.length > 0 && { required: requiredInputs }),
    additionalProperties: true,
  };
  return { input, output: outputFields(tool), notes, skipped };
}

function inputProblem(name: string, property: JsonValue): string | undefined {
  if (reservedNames.has(name)) return "has a name that Genesys reserves";
  if (!fieldName.test(name))
    return "has a name that Genesys does not accept (letters, digits, _ and -, a letter first)";
  if (scalarType(objectOf(property)) === undefined) return "is not a text, number or boolean";
  return undefined;
}

function inputSchema(name: string, property: JsonObject, notes: string[]): JsonObject {
  const values = listOf(property["enum"]).filter((value) => value !== null);
  const odd = values.filter((value) => typeof value !== "string" || !identifier.test(value));
  if (odd.length > 0) {
    notes.push(
      `the input ${JSON.stringify(name)} has allowed values that are not identifiers (${odd.map((value) => JSON.stringify(value)).join(", ")}); an Agentic Virtual Agent refuses them`,
    );
  }
  const description = textOf(property["description"]);
  if (description === "") notes.push(`the input ${JSON.stringify(name)} has no description`);
  return {
    type: scalarType(property) ?? "string",
    title: textOf(property["title"]) || titleFrom(name),
    description: description || titleFrom(name),
    ...(values.length > 0 && { enum: values }),
  };
}

/** Returns `outcome`, `output`, `callId`, and every scalar at the top level of the output schema. */
function outputFields(tool: Tool): OutputField[] {
  const fields: OutputField[] = [
    text("outcome", "$.outcome", "How the call ended: OK, or what went wrong, such as INVALID_ARGUMENTS or FAILED."),
    text("output", "$.output", "The tool's answer as text; the reason if the outcome is not OK."),
    text("callId", "$.callId", "Id of the call, to ask for its answer later."),
  ];
  const taken = new Set(fields.map(({ name }) => name));
  for (const [name, value] of Object.entries(objectOf(tool.outputSchema?.["properties"]))) {
    const property = objectOf(value);
    const type = scalarType(property);
    if (type === undefined || !fieldName.test(name)) continue;
    const shown = taken.has(name) || reservedNames.has(name) ? `value_${name}` : name;
    if (taken.has(shown)) continue;
    taken.add(shown);
    fields.push({
      name: shown,
      jsonPath: `$.value.${name}`,
      fallback: type === "string" ? '""' : "null",
      schema: {
        type,
        title: textOf(property["title"]) || titleFrom(name),
        description: textOf(property["description"]) || titleFrom(name),
      },
    });
  }
  return fields;
}

function text(name: string, jsonPath: string, description: string): OutputField {
  return { name, jsonPath, fallback: '""', schema: { type: "string", title: titleFrom(name), description } };
}

/** Returns the only scalar type of a property: a type combined with `null` counts, a list of several types does not. */
function scalarType(property: JsonObject): string | undefined {
  const types = (Array.isArray(property["type"]) ? property["type"] : [property["type"] ?? enumType(property)]).filter(
    (type) => type !== "null",
  );
  const [type] = types;
  return types.length === 1 && typeof type === "string" && scalarTypes.has(type) ? type : undefined;
}

/** Returns the type of a property that lists its values without a type. */
function enumType(property: JsonObject): JsonValue {
  const types = new Set(
    listOf(property["enum"])
      .filter((value) => value !== null)
      .map((value) => typeof value),
  );
  return types.size === 1 ? ([...types][0] ?? null) : null;
}

/** Converts `order_id` or `orderId` to `Order id`. */
function titleFrom(name: string): string {
  const words = name
    .replaceAll(/[_-]+/g, " ")
    .replaceAll(/([a-z])([A-Z])/g, (_, before: string, after: string) => `${before} ${after.toLowerCase()}`)
    .trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function objectOf(value: JsonValue | undefined): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

function listOf(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : [];
}

function stringsOf(value: JsonValue | undefined): string[] {
  return listOf(value).filter((entry) => typeof entry === "string");
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}
