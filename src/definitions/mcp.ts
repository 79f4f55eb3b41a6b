import type { JsonObject } from "@bufbuild/protobuf";
import { Effect } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import { nameFor } from "./names.ts";
import { argumentsSchema, byName } from "./parts.ts";

/** A tool as MCP's `tools/list` answers it. */
export interface McpTool {
  readonly name: string;
  readonly description: string;
  readonly inputSchema: JsonObject;
  /** Only where the output is an object: MCP knows no other structured output. */
  readonly outputSchema?: JsonObject;
  readonly annotations: {
    readonly readOnlyHint: boolean;
    readonly idempotentHint: boolean;
    readonly destructiveHint: boolean;
  };
}

/** The tools in MCP's form, by name. An effect that is not specified counts as a write. */
export function mcpTools(tools: readonly Tool[]): McpTool[] {
  return byName(tools).map((tool) => ({
    name: nameFor("mcp", tool.name),
    description: tool.description,
    inputSchema: argumentsSchema(tool),
    ...(tool.outputSchema?.["type"] === "object" ? { outputSchema: tool.outputSchema } : {}),
    annotations: {
      readOnlyHint: tool.effect === Effect.READ,
      idempotentHint: tool.effect === Effect.READ || tool.effect === Effect.IDEMPOTENT,
      destructiveHint: tool.effect !== Effect.READ && tool.effect !== Effect.IDEMPOTENT,
    },
  }));
}
