import type { JsonObject } from "@bufbuild/protobuf";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";

/** The tools by name, in code unit order: the same list always reads the same. */
export function byName(tools: readonly Tool[]): Tool[] {
  return tools.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

/** The arguments' schema as the forms want it: always that of an object. */
export function argumentsSchema(tool: Tool): JsonObject {
  const schema = tool.inputSchema ?? {};
  if (schema["type"] === "object") return schema;
  return { ...schema, type: "object", properties: schema["properties"] ?? {} };
}
