import { parseJson } from "../json/exact-number.ts";
import { serializeJson } from "../json/serialize.ts";
import { HttpError } from "../plugin/http-error.ts";
import type { ExecutionContext, HttpResponse, Tool, ToolLog } from "../plugin/tool.ts";
import type { FromIsolate, IsolatedCall, IsolateRequests, RequestEnd, ToIsolate } from "./isolation-protocol.ts";
import { errorFromThrown, thrownFrom } from "./isolation-protocol.ts";

/** An isolate's connection to the service, seen from inside. */
export interface IsolatePort {
  post(message: FromIsolate): void;
  onMessage(listener: (message: ToIsolate) => void): void;
}

/**
 * Maximum number of pending reports (progress and log lines) per call. Further ones are dropped, so that no loop floods
 * the service.
 */
const maxReports = 256;

/** Maximum number of concurrent `http` requests per call. */
const maxRequests = 1000;

/** Serves a plugin inside a thread or process: its state and its running calls. */
export function servePlugin(port: IsolatePort): void {
  let opened: { tool: Tool; state: unknown; config: unknown } | undefined;
  const running = new Map<number, RunningCall>();
  let last: RunningCall | undefined;

  const functions: { [Method in keyof IsolateRequests]: (input: IsolateRequests[Method], id: number) => unknown } = {
    async open({ url, config }) {
      if (opened !== undefined) return;
      const { default: tool } = (await import(url)) as { default: Tool };
      opened = { tool, state: await tool.open?.(config), config };
    },
    ready: () => opened?.tool.ready?.(opened.state),
    close: () => opened?.tool.close?.(opened.state),
    execute: (call, id) => withContext(id, call, (tool, context) => tool.execute(call.args, context)),
    reconcile: (call, id) =>
      withContext(id, call, (tool, context) => {
        const { args, callId, idempotencyKey, startedAt = 0 } = call;
        return tool.reconcile?.({ args, callId, idempotencyKey, startedAt: new Date(startedAt) }, context);
      }),
  };

  async function withContext(
    id: number,
    call: IsolatedCall,
    run: (tool: Tool, context: ExecutionContext) => unknown,
  ): Promise<unknown> {
    if (opened === undefined) throw new Error("the plugin is not open");
    const { tool, state, config } = opened;
    const current = createRunningCall(id, port);
    running.set(id, current);
    last = current;
    try {
      return await run(tool, { ...scopeOf(call), config, state, ...current.context });
    } finally {
      running.delete(id);
      current.end();
    }
  }

  async function answer({ id, method, input }: Extract<ToIsolate, { kind: "request" }>): Promise<void> {
    // Sent before any code of the plugin runs: without this message nothing has happened.
    port.post({ id, kind: "started" });
    const run = functions[method] as (input: unknown, id: number) => unknown;
    port.post({ id, kind: "ended", end: await endOf(() => run(input, id)) });
  }

  // As in the service itself, an unhandled rejection of the plugin ends no call.
  process.on("unhandledRejection", (reason) => last?.logStray(reason));
  port.onMessage((message) => {
    if (message.kind === "request") void answer(message);
    else running.get(message.id)?.receive(message);
  });
}

async function endOf(run: () => unknown): Promise<RequestEnd> {
  try {
    const json = serializeJson(await run());
    return json === undefined ? { kind: "unserializable" } : { kind: "returned", json };
  } catch (reason) {
    return { kind: "threw", thrown: thrownFrom(reason) };
  }
}

function scopeOf({ callId, idempotencyKey, conversationId, sessionId, source }: IsolatedCall) {
  return { callId, idempotencyKey, conversationId, sessionId, source };
}

/** A running call inside an isolate. */
interface RunningCall {
  readonly context: Pick<ExecutionContext, "signal" | "http" | "progress" | "log">;
  receive(message: Exclude<ToIsolate, { kind: "request" }>): void;
  /** Logs an unhandled rejection, whose message may contain arguments. */
  logStray(reason: unknown): void;
  /** After the end, leftovers of the function can send no requests and receive no answers. */
  end(): void;
}

function createRunningCall(id: number, port: IsolatePort): RunningCall {
  const controller = new AbortController();
  const requests = new Map<number, { resolve(answer: HttpResponse): void; reject(reason: Error): void }>();
  let count = 0;
  let reports = 0;
  let hasEnded = false;

  function report(message: FromIsolate): void {
    if (reports >= maxReports) return;
    reports++;
    port.post(message);
  }

  const log =
    (level: keyof ToolLog) =>
    (message: string, fields?: Record<string, unknown>): void =>
      report({ id, kind: "log", level, message: String(message), fields: fields && plain(fields) });

  return {
    context: {
      signal: controller.signal,
      http: (target, { json, ...rest } = {}) =>
        new Promise((resolve, reject) => {
          if (hasEnded) throw new HttpError("The request was not sent: the call has ended.");
          if (requests.size >= maxRequests) throw new HttpError("The request was not sent: too many are in progress.");
          const request = count++;
          const url = String(target);
          // As text, which preserves the notation of numbers.
          const text = json === undefined ? undefined : JSON.stringify(json);
          port.post({ id, kind: "http", request, url, options: rest, json: text });
          requests.set(request, { resolve, reject });
        }),
      progress: ({ message, fraction }) =>
        report({
          id,
          kind: "progress",
          ...(message !== undefined && { message: String(message) }),
          ...(fraction !== undefined && { fraction: Number(fraction) }),
        }),
      log: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
    },
    receive(message) {
      if (message.kind === "taken") return void reports--;
      if (message.kind === "abort") return controller.abort(new DOMException(message.message, message.name));
      const waiting = requests.get(message.request);
      requests.delete(message.request);
      if (message.kind === "answer") waiting?.resolve(responseFrom(message));
      else waiting?.reject(errorFromThrown(message.thrown));
    },
    logStray(reason) {
      const { name, stack } = thrownFrom(reason);
      const at = stack?.split("\n").find((line) => line.startsWith("    at "));
      log("error")("unhandled rejection", { name, at: at?.trim() });
    },
    end() {
      hasEnded = true;
      requests.clear();
    },
  };
}

function responseFrom({ status, headers, text }: Extract<ToIsolate, { kind: "answer" }>): HttpResponse {
  return {
    status,
    headers,
    text: () => text,
    json<T>(): T {
      if (text === "" && (status === 204 || status === 205)) return undefined as T;
      try {
        return parseJson(text) as T;
      } catch (cause) {
        throw new HttpError("External API answered something that is not JSON.", { status, cause });
      }
    },
  };
}

function plain(value: Record<string, unknown>): Record<string, unknown> | undefined {
  const json = serializeJson(value);
  return json === undefined ? undefined : (JSON.parse(json) as Record<string, unknown>);
}
