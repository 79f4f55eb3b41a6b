import type { JsonObject } from "@bufbuild/protobuf";
import { Effect } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import { nameFor } from "./names.ts";
import { argumentsSchema, byName } from "./parts.ts";

/** A tool in the format of MCP's `tools/list`. */
export interface McpTool {
  readonly name: string;
  readonly title?: string;
  readonly description: string;
  readonly inputSchema: JsonObject;
  readonly outputSchema?: JsonObject;
  readonly annotations: McpAnnotations;
}

/** MCP's hints. `idempotentHint` is about a repeat with the same arguments, not about a repeat under the same key. */
export interface McpAnnotations {
  readonly title?: string;
  readonly readOnlyHint: boolean;
  readonly destructiveHint: boolean;
  readonly idempotentHint: boolean;
  readonly openWorldHint?: boolean;
}

/** Which output schemas are published: only those of type object, which all clients support, or any. */
export type OutputSchemas = "objects" | "any";

/** Returns the tools in MCP's format, sorted by name. An unspecified effect counts as a write. */
export function mcpTools(tools: readonly Tool[], outputSchemas: OutputSchemas = "objects"): McpTool[] {
  return byName(tools).map((tool) => mcpTool(tool, outputSchemas));
}

function mcpTool(tool: Tool, outputSchemas: OutputSchemas): McpTool {
  const { description, outputSchema } = tool;
  const title = tool.annotations?.title ?? "";
  const shown = outputSchema !== undefined && (outputSchemas === "any" || outputSchema["type"] === "object");
  return {
    name: nameFor("mcp", tool.name),
    ...(title !== "" && { title }),
    description,
    inputSchema: argumentsSchema(tool),
    ...(shown && { outputSchema }),
    annotations: annotationsOf(tool),
  };
}

function annotationsOf({ effect, annotations }: Tool): McpAnnotations {
  const isRead = effect === Effect.READ;
  const { title = "", destructive = !isRead, idempotent = isRead, openWorld } = annotations ?? {};
  return {
    ...(title !== "" && { title }),
    readOnlyHint: isRead,
    destructiveHint: destructive,
    idempotentHint: idempotent,
    ...(openWorld !== undefined && { openWorldHint: openWorld }),
  };
}
