// What runs in an isolated plugin's worker thread. Its tasks are called by name by the pool.
import { workerData } from "node:worker_threads";
import { workerData as poolData } from "piscina";
import { parseJson } from "../json/exact-number.ts";
import { serializeJson } from "../json/serialize.ts";
import { ToolError } from "../plugin/tool-error.ts";
import type { ExecutionContext, HttpRequest, HttpResponse, Tool, ToolLog } from "../plugin/tool.ts";
import type { Ended, FromIsolated, IsolatedCall, IsolationSetup, ToIsolated } from "./isolation-protocol.ts";
import { errorFromThrown, thrownFrom } from "./isolation-protocol.ts";

const { url, config } = (poolData ?? workerData) as IsolationSetup;

interface Opened {
  readonly tool: Tool;
  readonly state: unknown;
}

/** The plugin of this thread; tried again where it could not be opened. */
let opening: Promise<Opened> | undefined;

async function open(): Promise<Opened> {
  const { default: tool } = (await import(url)) as { default: Tool };
  return { tool, state: await tool.open?.(config) };
}

async function opened(run: (plugin: Opened) => Promise<Ended>): Promise<Ended> {
  let plugin: Opened;
  try {
    plugin = await (opening ??= open());
  } catch (reason) {
    opening = undefined;
    return { kind: "unopened", message: reason instanceof Error ? reason.message : String(reason) };
  }
  try {
    return await run(plugin);
  } catch (reason) {
    return { kind: "threw", thrown: thrownFrom(reason) };
  }
}

/** Runs one call. */
export function execute(call: IsolatedCall): Promise<Ended> {
  return opened(async ({ tool, state }) => {
    using context = contextOf(call, state);
    return ended(await tool.execute(call.args, context));
  });
}

/** Asks the plugin what became of a call. */
export function reconcile(call: IsolatedCall): Promise<Ended> {
  return opened(async ({ tool, state }) => {
    using context = contextOf(call, state);
    const { args, callId, idempotencyKey, startedAt = 0 } = call;
    return ended(await tool.reconcile?.({ args, callId, idempotencyKey, startedAt: new Date(startedAt) }, context));
  });
}

/** Opens the plugin where it is not open, and asks whether it can work. */
export function ready(): Promise<Ended> {
  return opened(async ({ tool, state }) => {
    await tool.ready?.(state);
    return ended(null);
  });
}

/** Closes the plugin where it is open. */
export async function close(): Promise<Ended> {
  if (opening === undefined) return ended(null);
  return opened(async ({ tool, state }) => {
    await tool.close?.(state);
    return ended(null);
  });
}

function contextOf({ port, ...call }: IsolatedCall, state: unknown): ExecutionContext & Disposable {
  const controller = new AbortController();
  const asked = new Map<number, { resolve(answer: HttpResponse): void; reject(reason: Error): void }>();
  const tell = (message: FromIsolated): void => port.postMessage(message);
  let count = 0;
  port.on("message", (message: ToIsolated) => {
    if (message.kind === "abort") return controller.abort(new DOMException(message.message, message.name));
    const waiting = asked.get(message.id);
    asked.delete(message.id);
    if (message.kind === "answer") waiting?.resolve(responseFrom(message));
    else waiting?.reject(errorFromThrown(message.thrown));
  });
  const log = (level: keyof ToolLog) => (message: string, fields?: Record<string, unknown>) =>
    tell({
      kind: "log",
      level,
      message: String(message),
      fields: fields && (plain(fields) as Record<string, unknown>),
    });
  return {
    ...call,
    config,
    state,
    signal: controller.signal,
    http: (target, request = {}) =>
      new Promise((resolve, reject) => {
        const id = count++;
        asked.set(id, { resolve, reject });
        const { json, ...rest } = request;
        const sent: HttpRequest = json === undefined ? rest : { ...rest, json: plain(json) };
        tell({ kind: "http", id, url: String(target), request: sent });
      }),
    progress: ({ message, fraction }) =>
      tell({
        kind: "progress",
        ...(message !== undefined && { message: String(message) }),
        ...(fraction !== undefined && { fraction: Number(fraction) }),
      }),
    log: { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") },
    [Symbol.dispose]: () => port.close(),
  };
}

function responseFrom({ status, headers, text }: Extract<ToIsolated, { kind: "answer" }>): HttpResponse {
  return {
    status,
    headers,
    text: () => text,
    json<T>(): T {
      if (text === "" && (status === 204 || status === 205)) return undefined as T;
      try {
        return parseJson(text) as T;
      } catch (cause) {
        throw new ToolError("External API answered something that is not JSON.", { cause });
      }
    },
  };
}

function ended(returned: unknown): Ended {
  const json = serializeJson(returned);
  return json === undefined ? { kind: "unserializable" } : { kind: "returned", json };
}

function plain(value: unknown): unknown {
  const json = serializeJson(value);
  return json === undefined ? undefined : JSON.parse(json);
}
