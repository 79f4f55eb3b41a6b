import type { JsonObject } from "@bufbuild/protobuf";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";

/** The tools by name, in code unit order: the same list always reads the same. */
export function byName(tools: readonly Tool[]): Tool[] {
  return tools.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

/** The arguments' schema as hosts want it: always that of an object, with `properties` even where there are none. */
export function argumentsSchema(tool: Tool): JsonObject {
  const schema = tool.inputSchema ?? {};
  if (schema["type"] === "object" && schema["properties"] !== undefined) return schema;
  return { ...schema, type: "object", properties: schema["properties"] ?? {} };
}
