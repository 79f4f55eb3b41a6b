// Peer: the official server of the SDK's second version, for clients of 2026-07-28. Its handler creates a server for each
// request and answers this call with JSON. No key, no limits, no ledger, no metrics, no audit.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import { answer, declared, inputShape } from "./mcp-tool.ts";
import { ready } from "./ready.ts";

const inputSchema = z.strictObject(inputShape);
const handler = createMcpHandler(() => {
  const mcp = new McpServer({ name: "peer", version: "1.0.0" });
  mcp.registerTool("read_inventory", { ...declared, inputSchema }, answer);
  return mcp;
});
const serve = toNodeHandler(handler);
const server = createServer((request, response) => void serve(request, response));
server.listen(0, "127.0.0.1", () => ready((server.address() as AddressInfo).port));
