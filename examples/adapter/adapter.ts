// An adapter of one's own, in a process of its own: `node adapter.ts [JACKFIELD-URL] [PORT]`.
//
// The platform here is made up. It posts an action and wants its answer within five seconds:
//   POST /desk/actions      {"ticket":"T-1","action":{"ref":"a-1","tool":"get_order_status","input":{…}}}
//   200 {"ref":"a-1","ok":true,"text":"…"}      or 202 {"ref":"a-1","pending":true}, then:
//   GET /desk/actions/T-1/a-1
//
// Whatever an adapter might forget (validation, limits, deduplication, audit) happens behind the client: this file only
// translates.
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { CallState, createJackfieldClient, Outcome, type ToolResult } from "@jackfield/client";

const [url = "http://127.0.0.1:8080", port = "0"] = process.argv.slice(2);
const { executor } = createJackfieldClient({ baseUrl: url, apiKey: process.env["JACKFIELD_API_KEY"] });

interface Action {
  readonly ticket: string;
  readonly action: { readonly ref: string; readonly tool: string; readonly input: Record<string, string> };
}

interface Reply {
  readonly status: number;
  readonly body: object;
}

/** Runs an action. The ticket is the conversation: a repeated action is answered from the first run. */
async function runAction({ ticket, action: { ref, tool, input } }: Action): Promise<Reply> {
  const { result } = await executor.executeTool({
    call: { id: ref, name: tool, input: { case: "arguments", value: input } },
    context: { conversationId: ticket },
    answerWithin: { seconds: 4n, nanos: 500_000_000 },
  });
  return replyFromResult(ref, result);
}

/** Looks an action up that took longer than the platform waits. */
async function findAction(ticket: string, ref: string): Promise<Reply> {
  const { state, result } = await executor.getCall({ callId: ref, context: { conversationId: ticket } });
  return state === CallState.RUNNING ? pending(ref) : replyFromResult(ref, result);
}

function replyFromResult(ref: string, result: ToolResult | undefined): Reply {
  if (result === undefined || result.outcome === Outcome.PENDING) return pending(ref);
  return { status: 200, body: { ref, ok: result.outcome === Outcome.OK, text: result.output } };
}

function pending(ref: string): Reply {
  return { status: 202, body: { ref, pending: true } };
}

async function answer(request: IncomingMessage): Promise<Reply> {
  const [, desk, actions, ticket, ref] = (request.url ?? "").split("/").map(decodeURIComponent);
  if (desk !== "desk" || actions !== "actions") return { status: 404, body: { error: "Not found" } };
  if (request.method === "GET" && ticket !== undefined && ref !== undefined) return findAction(ticket, ref);
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return runAction(JSON.parse(Buffer.concat(chunks).toString("utf8")) as Action);
}

const server = createServer(async (request, response) => {
  // A refused request or an unreachable service is a ConnectError; its message is for engineers, not for the platform.
  const { status, body } = await answer(request).catch((reason: unknown) => {
    console.error(reason);
    return { status: 502, body: { error: "The action could not be run." } };
  });
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
});
server.listen(Number(port), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once("SIGTERM", () => server.close());
