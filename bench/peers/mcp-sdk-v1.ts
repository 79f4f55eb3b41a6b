// Peer: the official server of the SDK's first version, without sessions as its documentation shows: one server and one
// transport per request, JSON answers, no Express, no key, no limits, no ledger, no metrics, no audit. With the argument
// `session` it is one server with one session that all requests belong to, which a second process could not serve.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/streamableHttp.js";
import { z } from "zod";
import { answer, declared, inputShape } from "./mcp-tool.ts";
import { ready } from "./ready.ts";

const inputSchema = z.strictObject(inputShape);

async function connected(sessionIdGenerator: (() => string) | undefined): Promise<StreamableHTTPServerTransport> {
  const mcp = new McpServer({ name: "peer", version: "1.0.0" });
  mcp.registerTool("read_inventory", { ...declared, inputSchema }, answer);
  const transport = new StreamableHTTPServerTransport({ sessionIdGenerator, enableJsonResponse: true });
  await mcp.connect(transport);
  return transport;
}

const session = process.argv[2] === "session" ? await connected(() => "bench") : undefined;
const server = createServer(async (request, response) => {
  const transport = session ?? (await connected(undefined));
  if (session === undefined) response.on("close", () => void transport.close());
  await transport.handleRequest(request, response);
});
server.listen(0, "127.0.0.1", () => void open((server.address() as AddressInfo).port));

/** Opens the session if there is one. */
async function open(port: number): Promise<void> {
  if (session !== undefined) {
    const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "bench", version: "1" } };
    const opened = await fetch(`http://127.0.0.1:${port}/mcp`, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
      body: JSON.stringify({ jsonrpc: "2.0", id: 0, method: "initialize", params }),
    });
    if (!opened.ok) throw new Error(await opened.text());
  }
  ready(port);
}
