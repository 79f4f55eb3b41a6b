import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome, ToolResultSchema } from "../../../gen/jackfield/v1/tool_pb.ts";
import { createMcpDoor, type McpDoorOptions } from "../../../src/adapters/mcp/door.ts";
import type { Peer } from "../../../src/adapters/mcp/peer.ts";
import { McpError, reserved } from "../../../src/adapters/mcp/protocol.ts";
import { keyedContext } from "../../../src/adapters/tool-call.ts";
import { localCaller } from "../../../src/auth/authenticator.ts";

export function result(outcome: Outcome, output = "done", change: { truncated?: boolean } = {}) {
  const error = outcome === Outcome.OK ? {} : { error: { message: output } };
  return create(ToolResultSchema, { callId: "k-1", name: "work", outcome, output, ...error, ...change });
}

interface Options extends Partial<McpDoorOptions> {
  /** The answer of the services. */
  readonly answer?: object;
  /** The events of a call with progress. */
  readonly events?: readonly object[];
  /** Whether the client reads events. */
  readonly readsEvents?: boolean;
  readonly values?: Peer["values"];
}

export function open({
  answer = { result: result(Outcome.OK) },
  events = [],
  readsEvents,
  values,
  ...options
}: Options = {}) {
  const requests: { method: string; request: object; options: object }[] = [];
  const notified: object[] = [];
  const note = (method: string) => async (request: object, given: object) => {
    requests.push({ method, request, options: given });
    return method === "listTools" ? { tools: [{ name: "work", outputSchema: {} }], nextPageToken: "" } : answer;
  };
  const door = createMcpDoor({
    version: "1",
    instructions: "Ask first.",
    answerWithinMs: 1500,
    taskAfterMs: 100,
    pageSize: 10,
    listTtlMs: 5,
    maxOutput: 1000,
    taskTtlMs: 1000,
    stateSecret: async () => "secret",
    log: { error: () => undefined },
    missingScope: (scope) => new McpError(-1, scope),
    ...options,
  });
  const signal = AbortSignal.any([]);
  const peer = {
    caller: localCaller,
    clients: {
      executor: {
        executeTool: note("executeTool"),
        getCall: async (request: object, given: object) => {
          requests.push({ method: "getCall", request, options: given });
          throw new ConnectError("?", Code.NotFound);
        },
        listTools: note("listTools"),
        async *executeTools(request: object, given: object) {
          requests.push({ method: "executeTools", request, options: given });
          yield* events.map((event) => ({ event }));
        },
      },
      jobs: {
        async submitJob(request: { job: object }, given: object) {
          requests.push({ method: "submitJob", request, options: given });
          return { job: { ...request.job, source: localCaller.name } };
        },
        async getJob(request: { id: string }, given: object) {
          requests.push({ method: "getJob", request, options: given });
          const calls = [{ id: "k-1" }];
          const job = { ...request, source: localCaller.name, context: keyedContext(""), calls, results: [] };
          return { job: { ...job, state: JobState.ACCEPTED } };
        },
        cancelJob: note("cancelJob"),
      },
    },
    headers: undefined,
    values,
    signal,
    about: {},
    events:
      readsEvents === true ? { offer: (text: string) => notified.push(JSON.parse(text) as object) > 0 } : undefined,
  } as unknown as Peer;
  const send = async (method: string, params: object) =>
    JSON.parse((await door.handle({ jsonrpc: "2.0", id: 1, method, params }, peer))?.text ?? "") as {
      result?: Record<string, unknown>;
      error?: object;
    };
  const call = (params: object = {}) => send("tools/call", { name: "work", ...params });
  const modern = (params: object = {}, capabilities: object = {}) =>
    call({
      ...params,
      _meta: { [reserved.protocolVersion]: "2026-07-28", [reserved.clientCapabilities]: capabilities },
    });
  return { door, requests, notified, peer, signal, send, call, modern };
}
