import type { JsonValue } from "@bufbuild/protobuf";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";

/** Arguments that no tool can have: at the plain HTTP door they stand for headers. */
const reservedArguments = ["jackfieldConversationId", "jackfieldCallId"];

/** Longest name that every model takes. */
const maxNameLength = 64;

/** What hosts and models make of the definitions of tools, in whole sentences. */
export interface DefinitionReport {
  /** What some of them refuse or misread. */
  readonly notes: readonly string[];
  /** What cannot work. */
  readonly faults: readonly string[];
}

/** Looks for what hosts and models are known to refuse, before one of them does. */
export function checkDefinitions(tools: readonly Tool[]): DefinitionReport {
  return { notes: tools.flatMap(notesOf), faults: tools.flatMap(faultsOf) };
}

function notesOf({ name, inputSchema, outputSchema }: Tool): string[] {
  const notes: string[] = [];
  if (name.length > maxNameLength)
    notes.push(`The name of ${name} has more than ${maxNameLength} characters: some models refuse it.`);
  const top = ["anyOf", "oneOf", "allOf"].filter((keyword) => inputSchema !== undefined && keyword in inputSchema);
  if (top.length > 0)
    notes.push(
      `The arguments of ${name} have ${top.join(" and ")} at the top of their schema: OpenAI and Anthropic refuse it.`,
    );
  if (holdsReference(inputSchema) || holdsReference(outputSchema))
    notes.push(`A schema of ${name} has $ref: some hosts do not resolve it.`);
  return notes;
}

function faultsOf({ name, inputSchema }: Tool): string[] {
  const properties = inputSchema?.["properties"];
  if (typeof properties !== "object" || properties === null) return [];
  return reservedArguments
    .filter((argument) => Object.hasOwn(properties, argument))
    .map(
      (argument) =>
        `The tool ${name} must not have an argument ${argument}: it stands for a header at POST /tools/${name}.`,
    );
}

/** Whether a schema holds `$ref` as a keyword. Properties of this name count too, which is rare enough. */
function holdsReference(value: JsonValue | undefined): boolean {
  if (Array.isArray(value)) return value.some(holdsReference);
  if (typeof value !== "object" || value === null) return false;
  return typeof value["$ref"] === "string" || Object.values(value).some(holdsReference);
}
