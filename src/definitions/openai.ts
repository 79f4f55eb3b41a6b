import type { JsonObject } from "@bufbuild/protobuf";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import { nameFor } from "./names.ts";
import { argumentsSchema, byName } from "./parts.ts";

/** A tool in the format of OpenAI's Chat Completions API. */
export interface OpenaiTool {
  readonly type: "function";
  readonly function: { readonly name: string; readonly description: string; readonly parameters: JsonObject };
}

/** Returns the tools in OpenAI's format, sorted by name. */
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
