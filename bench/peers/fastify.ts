// Peer: the Cognigy callback as a Fastify route written by hand, without key, limits, ledger, metrics and audit.
import fastify from "fastify";
import type { AddressInfo } from "node:net";
import { ready } from "./ready.ts";
import { createSearch } from "./search.ts";

const search = createSearch();
const app = fastify();
app.post("/api/v1/llm/tool-callback", async (request) => {
  const { tool_call_id: id, arguments: args } = request.body as { tool_call_id: string; arguments: unknown };
  return { tool_call_id: id, output: JSON.stringify(search(args)) };
});
await app.listen({ host: "127.0.0.1", port: 0 });
ready((app.server.address() as AddressInfo).port);
