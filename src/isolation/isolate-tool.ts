import type { ExecutionContext, Reconciled } from "../plugin/tool.ts";
import { IsolateCrashError } from "../registry/isolate-crash-error.ts";
import { openWaitMs } from "../registry/open-tool.ts";
import { PluginError } from "../registry/plugin-error.ts";
import type { CompiledTool } from "../registry/registry.ts";
import { createCrashBackoff } from "./crash-backoff.ts";
import { IsolateEndedError, valueOf } from "./isolate.ts";
import { createIsolatePool } from "./isolate-pool.ts";
import type { IsolatedCall } from "./isolation-protocol.ts";
import { createProcessTransport } from "./process-transport.ts";
import { settledWithin } from "../timing.ts";
import { createThreadTransport } from "./thread-transport.ts";

/** Origin and limits of an isolated plugin. */
export interface IsolationOptions {
  /** URL of the plugin's module. */
  readonly url: string;
  /** Environment variables of the plugin's threads or processes. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /**
   * Maximum number of threads or processes, one per concurrent call; 8 by default, and never more than the tool's own
   * limit.
   */
  readonly isolates?: number;
  /** Heap limit of each in MiB; 256 by default. */
  readonly memoryMb?: number;
  /** Monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/** Maximum number of attempts for a call whose isolate ends before it starts with the call. */
const maxStarts = 3;

/**
 * Moves a tool into worker threads or processes, as its `isolation` requires, instead of opening it in this process:
 * they load its module again, and run `open`, `execute`, `reconcile`, `ready` and `close`. A call that ignores its
 * deadline, exits, crashes, or uses too much memory costs its thread or process and nothing else.
 */
export async function isolateTool(tool: CompiledTool, options: IsolationOptions): Promise<CompiledTool> {
  const { url, isolates = 8, memoryMb = 256, env = {} } = options;
  const concurrency = Math.max(1, Math.min(isolates, tool.concurrency));
  const createTransport = tool.isolation === "process" ? createProcessTransport : createThreadTransport;
  const pool = createIsolatePool({
    setup: { url, config: tool.config },
    start: createTransport({ memoryMb, env }),
    max: concurrency,
    backoff: createCrashBackoff(options.now),
  });

  async function call(
    method: "execute" | "reconcile",
    args: unknown,
    context: ExecutionContext,
    startedAt?: Date,
  ): Promise<unknown> {
    const { signal, callId, idempotencyKey, conversationId, sessionId, source } = context;
    const scope = { callId, idempotencyKey, conversationId, sessionId, source };
    const input: IsolatedCall = { args, ...scope, ...(startedAt && { startedAt: startedAt.getTime() }) };
    // After that time too little remains to do the work, and nothing has been done yet.
    const waitMs = Math.ceil(tool.timeoutMs * 0.8);
    for (let starts = 1; ; starts++) {
      const isolate = await pool.acquire(signal, waitMs);
      try {
        return valueOf(await isolate.request(method, input, signal, context));
      } catch (reason) {
        if (!(reason instanceof IsolateEndedError)) throw reason;
        if (reason.started) throw new IsolateCrashError(reason.message, { cause: reason });
        if (starts === maxStarts) throw new PluginError({ code: "not-open", reason: reason.message });
      } finally {
        pool.release(isolate);
      }
    }
  }

  const { reconcile } = tool;
  // `problem` holds the reason of a failure.
  await settledWithin(pool.ready(), openWaitMs);
  return {
    ...tool,
    concurrency,
    run: (args, context) => call("execute", args, context),
    reconcile:
      reconcile &&
      (async ({ args, startedAt }, context) => (await call("reconcile", args, context, startedAt)) as Reconciled),
    get problem() {
      return pool.problem;
    },
    ready: () => pool.ready(),
    close: () => pool.close(),
  };
}
