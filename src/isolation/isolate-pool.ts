import { PluginError } from "../registry/plugin-error.ts";
import type { CrashBackoff } from "./crash-backoff.ts";
import { createIsolate, type Isolate, type StartTransport, valueOf } from "./isolate.ts";
import type { IsolationSetup } from "./isolation-protocol.ts";

/** The isolates of one tool: one for each concurrent call, and a spare one for the next call. */
export interface IsolatePool {
  /** The reason why the tool cannot work at present; undefined if it can. */
  readonly problem: string | undefined;
  /**
   * Returns an idle isolate with the plugin open; give it back with `release`. Rejects with a PluginError if the plugin
   * cannot be opened or no isolate becomes free within `waitMs`, and with the signal's reason.
   */
  acquire(signal: AbortSignal, waitMs: number): Promise<Isolate>;
  release(isolate: Isolate): void;
  /** Opens the plugin if necessary, and calls its `ready` in an idle isolate, if there is one. */
  ready(): Promise<void>;
  /** Calls `close` in each isolate, and ends them all. */
  close(): Promise<void>;
}

export interface PoolOptions {
  readonly setup: IsolationSetup;
  readonly start: StartTransport;
  /** Maximum number of isolates. */
  readonly max: number;
  readonly backoff: CrashBackoff;
}

/** Timeouts of opening, of `ready` and of `close`, in milliseconds. `ready` occupies an isolate that calls may need. */
const openTimeoutMs = 30_000;
const readyTimeoutMs = 750;
const closeTimeoutMs = 1500;

/** How long an idle isolate is kept while there is another one, in milliseconds. */
const idleMs = 30_000;

interface PendingCall {
  resolve(isolate: Isolate): void;
  reject(reason: Error): void;
}

/** Pause after a failed attempt to open the plugin, in milliseconds. */
const retryMs = 1000;

/** Creates the pool of one tool. It starts nothing before `ready` or `acquire`. */
export function createIsolatePool({ setup, start, max, backoff }: PoolOptions): IsolatePool {
  const all = new Set<Isolate>();
  /** Isolates with the plugin open. */
  const opened = new Set<Isolate>();
  /** Isolates of `opened` without a running call. The most recently used one is last. */
  const idle: Isolate[] = [];
  const waiting: PendingCall[] = [];
  /** An isolate that failed to open the plugin. The next attempt uses it again. */
  let unopened: Isolate | undefined;
  let opening = 0;
  let openProblem: string | undefined;
  let checking: Promise<void> | undefined;
  let idleTimer: NodeJS.Timeout | undefined;
  let retryTimer: NodeJS.Timeout | undefined;
  let closed = false;

  const problem = (): string | undefined => (closed ? "it is closed" : (backoff.problem() ?? openProblem));

  function onEnd(isolate: Isolate, killed: boolean): void {
    all.delete(isolate);
    opened.delete(isolate);
    const position = idle.indexOf(isolate);
    if (position >= 0) idle.splice(position, 1);
    if (unopened === isolate) unopened = undefined;
    if (!killed) backoff.crashed();
    refill();
  }

  /** Starts isolates for waiting calls, and a spare one, so that the next call need not wait for the plugin to open. */
  function refill(): void {
    const current = problem();
    if (current !== undefined) {
      for (const { reject } of waiting.splice(0)) reject(notOpen(current));
      return;
    }
    if (retryTimer !== undefined) return;
    while (waiting.length + 1 > idle.length + opening && all.size < max) void open();
  }

  /** Opens the plugin in an isolate. */
  async function open(): Promise<void> {
    const isolate = unopened ?? createIsolate(start, onEnd);
    unopened = undefined;
    all.add(isolate);
    opening++;
    const signal = AbortSignal.timeout(openTimeoutMs);
    try {
      valueOf(await isolate.request("open", setup, signal));
      opening--;
      if (closed) return isolate.kill();
      openProblem = undefined;
      opened.add(isolate);
      offer(isolate);
      refill();
    } catch (reason) {
      opening--;
      failed(isolate, signal.aborted ? `it takes longer than ${openTimeoutMs / 1000} s` : messageOf(reason));
    }
  }

  function failed(isolate: Isolate, reason: string): void {
    // If the plugin is open in another isolate, the tool works.
    if (opened.size === 0) openProblem = `it cannot be opened: ${reason}`;
    if (opened.size === 0 && unopened === undefined && !isolate.ended && !closed) unopened = isolate;
    else isolate.kill();
    retryTimer ??= setTimeout(() => {
      retryTimer = undefined;
      refill();
    }, retryMs).unref();
    refill();
  }

  function offer(isolate: Isolate): void {
    const next = waiting.shift();
    if (next !== undefined) return next.resolve(isolate);
    idle.push(isolate);
    if (idle.length > 1) idleTimer ??= setTimeout(trim, idleMs).unref();
  }

  /** Ends the isolate that has been idle for the longest time. */
  function trim(): void {
    idleTimer = undefined;
    if (idle.length < 2) return;
    void end(idle.shift() as Isolate);
    if (idle.length > 1) idleTimer = setTimeout(trim, idleMs).unref();
  }

  async function end(isolate: Isolate): Promise<void> {
    await isolate.request("close", undefined, AbortSignal.timeout(closeTimeoutMs)).catch(() => {});
    isolate.kill();
  }

  async function check(): Promise<void> {
    if (problem() !== undefined || all.size === 0) {
      if (closed || backoff.problem() !== undefined) throw notOpen(problem() as string);
      await open();
      const left = problem();
      if (left !== undefined) throw notOpen(left);
    }
    const isolate = idle.pop();
    if (isolate === undefined) return;
    try {
      valueOf(await isolate.request("ready", undefined, AbortSignal.timeout(readyTimeoutMs)));
    } finally {
      release(isolate);
    }
  }

  function release(isolate: Isolate): void {
    if (isolate.ended) return;
    if (closed) isolate.kill();
    else offer(isolate);
  }

  return {
    get problem() {
      return problem();
    },
    acquire(signal, waitMs) {
      const { promise, resolve, reject } = Promise.withResolvers<Isolate>();
      const entry: PendingCall = { resolve, reject };
      const leave = (reason: Error): void => {
        const position = waiting.indexOf(entry);
        if (position >= 0) waiting.splice(position, 1);
        reject(reason);
      };
      const abort = (): void => leave(signal.reason as Error);
      signal.addEventListener("abort", abort, { once: true });
      const timer = setTimeout(() => leave(notOpen(`it was not open within ${waitMs} ms`)), waitMs);
      waiting.push(entry);
      const isolate = idle.pop();
      if (isolate !== undefined) waiting.shift()?.resolve(isolate);
      refill();
      return promise.finally(() => {
        clearTimeout(timer);
        signal.removeEventListener("abort", abort);
      });
    },
    release,
    ready: () => (checking ??= check().finally(() => (checking = undefined))),
    async close() {
      closed = true;
      clearTimeout(idleTimer);
      clearTimeout(retryTimer);
      refill();
      await Promise.all([...all].map(end));
    },
  };
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason);
}

function notOpen(reason: string): PluginError {
  return new PluginError({ code: "not-open", reason });
}
