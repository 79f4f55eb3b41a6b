import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { MessageChannel } from "node:worker_threads";
import { Piscina } from "piscina";
import type { ExecutionContext, Reconciled } from "../plugin/tool.ts";
import { PluginError } from "../registry/plugin-error.ts";
import { serveIsolated, valueOf } from "./isolated-call.ts";
import type { Ended, IsolatedCall, IsolationSetup, ToIsolated } from "./isolation-protocol.ts";
import { createQuarantine } from "./crash-backoff.ts";
import type { CompiledTool } from "../registry/registry.ts";
import { WorkerCrashError } from "../registry/worker-crash-error.ts";

/** Where an isolated plugin comes from, and what it may take. */
export interface IsolationOptions {
  /** URL of the plugin's module. */
  readonly url: string;
  /** Calls side by side, one in each thread; 8 by default, and never more than the tool's own limit. */
  readonly threads?: number;
  /** Heap of each thread in MiB, 256 by default. */
  readonly memoryMb?: number;
  /** Monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/** How long a tool may go on after its signal has fired, in milliseconds; then its thread is ended. */
const graceMs = 50;

/** How long opening, `ready` and `close` may take, in milliseconds. */
const openWithinMs = 30_000;
const closeWithinMs = 2000;

/**
 * Moves a tool into worker threads, in place of opening it here: its module is loaded there again, and `open`, `execute`,
 * `reconcile`, `ready` and `close` run there. A call that does not end at its deadline, exits, or takes too much memory
 * costs its thread and nothing else.
 */
export async function isolateTool(tool: CompiledTool, options: IsolationOptions): Promise<CompiledTool> {
  const { threads = 8, memoryMb = 256 } = options;
  const concurrency = Math.max(1, Math.min(threads, tool.concurrency));
  const quarantine = createQuarantine(options.now);
  let pool: Piscina<unknown, Ended> | undefined;
  let fault: string | undefined;
  let closed = false;

  function start(): Piscina<unknown, Ended> {
    const started = new Piscina<unknown, Ended>({
      filename: fileURLToPath(new URL(`./isolate-worker${extname(import.meta.url)}`, import.meta.url)),
      minThreads: 1,
      maxThreads: concurrency,
      idleTimeout: 30_000,
      // DANGER: with atomics a thread sleeps between calls, and timers and connections of the plugin with it.
      atomics: "disabled",
      resourceLimits: { maxOldGenerationSizeMb: memoryMb },
      workerData: { url: options.url, config: tool.config } satisfies IsolationSetup,
      ...(extname(import.meta.url) === ".ts" && { execArgv: ["--conditions=@jackfield/source"] }),
    });
    // A thread died between two calls.
    started.on("error", () => crashed(started));
    return started;
  }

  function crashed(where: Piscina<unknown, Ended>): void {
    if (where !== pool || !quarantine.crashed()) return;
    pool = undefined;
    void where.destroy();
  }

  async function ask(name: string, task: object, kill: AbortSignal, port?: IsolatedCall["port"]): Promise<Ended> {
    const resting = closed ? "it is closed" : quarantine.fault();
    if (resting !== undefined) throw new PluginError({ code: "not-open", reason: resting });
    const where = (pool ??= start());
    try {
      // The pool wants an array here, and its types something else.
      const transferList: object = port === undefined ? [] : [port];
      return await where.run(task, { name, signal: kill, transferList });
    } catch (reason) {
      if (kill.aborted) throw reason;
      crashed(where);
      throw new WorkerCrashError("the worker of the tool died", { cause: reason });
    }
  }

  function openedOr(ended: Ended): Exclude<Ended, { kind: "unopened" }> {
    if (ended.kind !== "unopened") {
      fault = undefined;
      return ended;
    }
    fault = `it cannot be opened: ${ended.message}`;
    throw new PluginError({ code: "not-open", reason: fault });
  }

  async function call(
    name: "execute" | "reconcile",
    args: unknown,
    context: ExecutionContext,
    startedAt?: Date,
  ): Promise<unknown> {
    const { signal, callId, idempotencyKey, conversationId, sessionId, source } = context;
    signal.throwIfAborted();
    const { port1, port2 } = new MessageChannel();
    const finish = serveIsolated(port1, context);
    const kill = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const abort = (): void => {
      const { name, message } = signal.reason as Error;
      port1.postMessage({ kind: "abort", name, message } satisfies ToIsolated);
      timer = setTimeout(() => kill.abort(), graceMs);
    };
    signal.addEventListener("abort", abort, { once: true });
    try {
      const scope = { callId, idempotencyKey, conversationId, sessionId, source };
      const began = startedAt && { startedAt: startedAt.getTime() };
      const task: IsolatedCall = { args, ...scope, ...began, port: port2 };
      const ended = await ask(name, task, kill.signal, port2);
      finish();
      return valueOf(openedOr(ended));
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      port1.close();
    }
  }

  async function ready(): Promise<void> {
    valueOf(openedOr(await ask("ready", {}, AbortSignal.timeout(openWithinMs))));
  }

  const { reconcile } = tool;
  await ask("ready", {}, AbortSignal.timeout(openWithinMs))
    .then(openedOr)
    .catch((reason: unknown) => {
      fault ??= `it cannot be opened: ${reason instanceof Error ? reason.message : String(reason)}`;
    });
  return {
    ...tool,
    concurrency,
    run: (args, context) => call("execute", args, context),
    reconcile:
      reconcile &&
      (async ({ args, startedAt }, context) => (await call("reconcile", args, context, startedAt)) as Reconciled),
    get fault() {
      return quarantine.fault() ?? fault;
    },
    ready,
    async close() {
      closed = true;
      const last = pool;
      pool = undefined;
      if (last === undefined) return;
      const signal = AbortSignal.timeout(closeWithinMs);
      // As many tasks as threads, given out at once: each thread gets one.
      await Promise.allSettled(last.threads.map(() => last.run({}, { name: "close", signal })));
      await last.destroy();
    },
  };
}
