import type { JsonObject } from "@bufbuild/protobuf";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";

/** Sorts tools by name, in code unit order, so that the same list always serialises identically. */
export function byName(tools: readonly Tool[]): Tool[] {
  return tools.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

/**
 * Returns the schema of the arguments in the form that hosts expect: always of type object, with `properties` even when
 * there are none.
 */
export function argumentsSchema(tool: Tool): JsonObject {
  const schema = tool.inputSchema ?? {};
  if (schema["type"] === "object" && schema["properties"] !== undefined) return schema;
  return { ...schema, type: "object", properties: schema["properties"] ?? {} };
}
