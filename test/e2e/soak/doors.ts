import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { createJackfieldClient, type JackfieldClient } from "../../../src/client.ts";
import { streamResults } from "../support/requests.ts";
import { type Answer, readAnswer } from "./answer.ts";

/** A call of the load. */
export interface Call {
  readonly id: string;
  readonly tool: "look" | "set" | "put" | "put_known";
  readonly arguments: { readonly id: string; readonly delay: number };
}

/** The answer to a request. */
export type Reply =
  | { readonly kind: "answered"; readonly answers: readonly Answer[] }
  /** The batch has become a job. */
  | { readonly kind: "accepted"; readonly jobId: string }
  /** A 5xx, which promises nothing. */
  | { readonly kind: "refused"; readonly text: string };

/** An entry point. `send` rejects if there is no answer. */
export interface Door {
  readonly name: "cognigy" | "http" | "grpc" | "connect" | "gateway" | "runs";
  /** Share of all requests, in percent. */
  readonly share: number;
  /** Maximum number of calls in one request. */
  readonly batch: number;
  send(id: string, calls: readonly [Call, ...Call[]]): Promise<Reply>;
}

const timeoutMs = 30_000;

/** Returns the entry points of a service. */
export function openDoors(url: string): readonly Door[] {
  const grpc = createJackfieldClient({ baseUrl: url, transport: createGrpcTransport({ baseUrl: url }) });
  const connect = createJackfieldClient({
    baseUrl: url,
    transport: createConnectTransport({ baseUrl: url, httpVersion: "1.1" }),
  });
  return [
    {
      name: "cognigy",
      share: 35,
      batch: 1,
      send: (_, [{ id, tool, arguments: args }]) =>
        post(`${url}/api/v1/llm/tool-callback`, { tool_call_id: id, name: tool, arguments: args }, {}, ({ text }) => [
          (JSON.parse(text) as { output: string }).output,
        ]),
    },
    {
      name: "http",
      share: 20,
      batch: 1,
      send: (_, [{ id, tool, arguments: args }]) =>
        post(`${url}/tools/${tool}`, args, { "idempotency-key": id }, ({ text }) => [
          (JSON.parse(text) as { output: string }).output,
        ]),
    },
    { name: "grpc", share: 15, batch: 1, send: (_, [call]) => execute(grpc, call) },
    { name: "connect", share: 10, batch: 1, send: (_, [call]) => execute(connect, call) },
    {
      name: "gateway",
      share: 10,
      batch: 3,
      send: (id, calls) =>
        post(`${url}/llm-gateway/tools`, { conversation_id: id, tool_calls: listed(calls) }, {}, ({ text }) =>
          streamResults(text).map(({ output }) => output),
        ),
    },
    {
      name: "runs",
      share: 10,
      batch: 3,
      send: (id, calls) =>
        post(`${url}/webhook/tool-calls`, { run_id: id, tool_calls: listed(calls) }, {}, ({ headers }) => ({
          jobId: headers.get("jackfield-job-id") ?? "",
        })),
    },
  ];
}

function listed(calls: readonly Call[]): object[] {
  return calls.map(({ id, tool, arguments: args }) => ({
    id,
    type: "function",
    function: { name: tool, arguments: JSON.stringify(args) },
  }));
}

async function post(
  url: string,
  body: object,
  headers: Readonly<Record<string, string>>,
  read: (answer: { text: string; headers: Headers }) => readonly string[] | { readonly jobId: string },
): Promise<Reply> {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await response.text();
  if (response.status >= 500) return { kind: "refused", text: `${response.status} ${text}` };
  if (response.status >= 300) throw new UnexpectedAnswer(`${url} answered ${response.status} ${text}`);
  const what = read({ text, headers: response.headers });
  return "jobId" in what
    ? { kind: "accepted", jobId: what.jobId }
    : { kind: "answered", answers: what.map((output) => readAnswer(output)) };
}

async function execute({ executor }: JackfieldClient, { id, tool, arguments: args }: Call): Promise<Reply> {
  const { result } = await executor.executeTool(
    { call: { id, name: tool, input: { case: "arguments", value: args } }, context: { conversationId: "soak" } },
    { timeoutMs },
  );
  return { kind: "answered", answers: [readAnswer(result?.error?.message ?? result?.output ?? "")] };
}

/** Thrown for an answer that no fault explains. */
export class UnexpectedAnswer extends Error {}
