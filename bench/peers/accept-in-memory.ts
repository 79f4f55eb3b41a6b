// Peer: the AI Gateway webhook written by hand, without durability: 202 at once, then tool and delivery from memory.
import { setImmediate } from "node:timers";
import fastify from "fastify";
import type { AddressInfo } from "node:net";
import { Agent, request as send } from "undici";
import { ready } from "./ready.ts";
import { createSearch } from "./search.ts";

interface Run {
  run_id: string;
  tool_calls: { id: string; function: { name: string; arguments: unknown } }[];
}

const search = createSearch();
const deliverTo = process.env["DELIVER_TO"] ?? "";
const dispatcher = new Agent({ connections: 16 });
const app = fastify();

async function work({ run_id: runId, tool_calls: calls }: Run): Promise<void> {
  const results = calls.map(({ id, function: { arguments: args } }) => ({
    tool_call_id: id,
    output: JSON.stringify(search(args)),
  }));
  const answer = await send(`${deliverTo}/api/v2/ai/assistants/runs/${runId}/tool_calls`, {
    method: "POST",
    headers: { authorization: "Bearer token", "content-type": "application/json" },
    body: JSON.stringify({ tool_calls: results }),
    dispatcher,
  });
  await answer.body.dump();
}

app.post("/webhook/tool-calls", (request, reply) => {
  const run = request.body as Run;
  setImmediate(() => void work(run).catch(() => {}));
  reply.code(202).send({ status: "accepted" });
});
await app.listen({ host: "127.0.0.1", port: 0 });
ready((app.server.address() as AddressInfo).port);
