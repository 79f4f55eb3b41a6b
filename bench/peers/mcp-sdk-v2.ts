// The peer: the official server of the SDK's second version, for clients of 2026-07-28. No key, no limits, no ledger, no
// metrics, no audit.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, McpServer } from "@modelcontextprotocol/server";
import { z } from "zod";
import { ready } from "./ready.ts";
import { createSearch } from "./search.ts";

const search = createSearch();
const handler = createMcpHandler(() => {
  const mcp = new McpServer({ name: "peer", version: "1.0.0" });
  mcp.registerTool(
    "read_inventory",
    {
      description: "Answers at once.",
      inputSchema: z.object({ sku: z.string(), warehouse: z.string() }),
      annotations: { readOnlyHint: true },
    },
    (args) => {
      const found = search(args);
      return { content: [{ type: "text", text: JSON.stringify(found) }], structuredContent: { ...found } };
    },
  );
  return mcp;
});
const serve = toNodeHandler(handler);
const server = createServer((request, response) => void serve(request, response));
server.listen(0, "127.0.0.1", () => ready((server.address() as AddressInfo).port));
