import type { Tool } from "../../../gen/jackfield/v1/tool_pb.ts";
import { mcpTools } from "../../definitions/mcp.ts";
import type { ToolCatalogs } from "../tool-catalog.ts";
import type { Era } from "./era.ts";
import type { RequestMessage } from "./message.ts";
import type { Peer } from "./peer.ts";
import { codes, McpError } from "./protocol.ts";

/** Dependencies and settings of tool lists. */
export interface ListToolsOptions {
  readonly catalogs: ToolCatalogs;
  readonly pageSize: number;
  /** How long a client may cache a list, in milliseconds. */
  readonly listTtlMs: number;
  /** JSON text that ends the `_meta` of a modern result, starting with a comma. */
  readonly metaTail: string;
}

/** Creates `tools/list`, which returns the JSON text of the result. */
export function createListTools({ catalogs, pageSize, listTtlMs, metaTail }: ListToolsOptions) {
  // Definitions are serialised once, because that costs more than the rest of a list.
  const written: Record<Era, WeakMap<Tool, string>> = { modern: new WeakMap(), older: new WeakMap() };

  function textOf(tool: Tool, era: Era): string {
    let text = written[era].get(tool);
    if (text === undefined) {
      text = JSON.stringify(mcpTools([tool], era === "modern" ? "any" : "objects")[0]);
      written[era].set(tool, text);
    }
    return text;
  }

  return async ({ params }: RequestMessage, era: Era, { caller, clients }: Peer): Promise<string> => {
    const { cursor } = params;
    const { tools } = await catalogs.refresh(caller, clients);
    const start = cursor === undefined ? 0 : tools.findIndex(({ name }) => name === cursor) + 1;
    if (cursor !== undefined && start === 0) throw new McpError(codes.invalidParams, "Invalid cursor");
    const page = tools.slice(start, start + pageSize);
    let text = `{"tools":[${page.map((tool) => textOf(tool, era)).join(",")}]`;
    if (start + page.length < tools.length) text += `,"nextCursor":${JSON.stringify(page.at(-1)?.name)}`;
    if (era === "older") return `${text}}`;
    return `${text},"resultType":"complete","ttlMs":${listTtlMs},"cacheScope":"private","_meta":{${metaTail.slice(1)}}}`;
  };
}
