import type { JsonObject } from "@bufbuild/protobuf";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import { nameFor } from "./names.ts";
import { argumentsSchema, byName } from "./parts.ts";

/** A tool as OpenAI's chat completions take it. */
export interface OpenaiTool {
  readonly type: "function";
  readonly function: { readonly name: string; readonly description: string; readonly parameters: JsonObject };
}

/** The tools in OpenAI's form, by name. */
export function openaiTools(tools: readonly Tool[]): OpenaiTool[] {
  return byName(tools).map((tool) => ({
    type: "function",
    function: {
      name: nameFor("openai", tool.name),
      description: tool.description,
      parameters: argumentsSchema(tool),
    },
  }));
}
