import type { JsonObject } from "@bufbuild/protobuf";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import { nameFor } from "./names.ts";
import { argumentsSchema, byName } from "./parts.ts";

/** A tool in the format of Anthropic's Messages API. */
export interface AnthropicTool {
  readonly name: string;
  readonly description: string;
  readonly input_schema: JsonObject;
}

/** Returns the tools in Anthropic's format, sorted by name. */
export function anthropicTools(tools: readonly Tool[]): AnthropicTool[] {
  return byName(tools).map((tool) => ({
    name: nameFor("anthropic", tool.name),
    description: tool.description,
    input_schema: argumentsSchema(tool),
  }));
}
