// Peer: the Cognigy callback on Express, as in the requirements.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express from "express";
import { ready } from "./ready.ts";
import { createSearch } from "./search.ts";

const search = createSearch();
const app = express();
app.use(express.json());
app.post("/api/v1/llm/tool-callback", (request, response) => {
  const { tool_call_id: id, arguments: args } = request.body as { tool_call_id: string; arguments: unknown };
  response.json({ tool_call_id: id, output: JSON.stringify(search(args)) });
});
const server = createServer(app);
server.listen(0, "127.0.0.1", () => ready((server.address() as AddressInfo).port));
