// The peer: the official server of the SDK's first version, in its fastest form: one session, JSON answers. No key, no limits,
// no ledger, no metrics, no audit.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";
import { ready } from "./ready.ts";
import { createSearch } from "./search.ts";

const search = createSearch();
const mcp = new McpServer({ name: "peer", version: "1.0.0" });
mcp.registerTool(
  "read_inventory",
  {
    description: "Answers at once.",
    inputSchema: { sku: z.string(), warehouse: z.string() },
    annotations: { readOnlyHint: true },
  },
  (args) => {
    const found = search(args);
    return { content: [{ type: "text", text: JSON.stringify(found) }], structuredContent: { ...found } };
  },
);
const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => "bench", enableJsonResponse: true });
await mcp.connect(transport);
const server = createServer((request, response) => void transport.handleRequest(request, response));
server.listen(0, "127.0.0.1", () => void open((server.address() as AddressInfo).port));

/** Opens the one session that all requests belong to. */
async function open(port: number): Promise<void> {
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "bench", version: "1" } };
  const answer = await fetch(`http://127.0.0.1:${port}/mcp`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params }),
  });
  if (!answer.ok) throw new Error(await answer.text());
  ready(port);
}
