import type { JsonObject } from "@bufbuild/protobuf";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import { nameFor } from "./names.ts";
import { argumentsSchema, byName } from "./parts.ts";

/** A tool as Anthropic's messages API takes it. */
export interface AnthropicTool {
  readonly name: string;
  readonly description: string;
  readonly input_schema: JsonObject;
}

/** The tools in Anthropic's form, by name. */
export function anthropicTools(tools: readonly Tool[]): AnthropicTool[] {
  return byName(tools).map((tool) => ({
    name: nameFor("anthropic", tool.name),
    description: tool.description,
    input_schema: argumentsSchema(tool),
  }));
}
