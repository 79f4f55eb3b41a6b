import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { JsonSchema } from "../plugin/tool.ts";
import { checkSchema, SchemaError } from "./check-schema.ts";

/** Compiles untrusted schemas in a separate thread first, before this process compiles them itself. */
export interface TrialCompiler {
  /**
   * Rejects with a SchemaError if the schema cannot be compiled within the limits of time and memory. Small schemas
   * always pass.
   */
  check(schema: JsonSchema): Promise<void>;
  close(): Promise<void>;
}

export interface TrialLimits {
  /** Time limit of a compilation, in milliseconds. */
  readonly timeoutMs: number;
  /** Heap limit of the thread, in MiB. */
  readonly memoryMb: number;
}

/** Length of a schema's JSON text up to which compiling it is always fast, whatever its content. */
const smallLength = 4096;

/** Idle time after which the thread ends, in milliseconds. */
const idleMs = 30_000;

type Answer = { kind: "ready" } | { kind: "compiled" } | { kind: "refused"; reason: string };

/** Creates a trial compiler. Its thread starts with the first schema, and again after a schema that ended it. */
export function createTrialCompiler(limits: TrialLimits = { timeoutMs: 500, memoryMb: 128 }): TrialCompiler {
  let worker: Promise<Worker> | undefined;
  let idle: NodeJS.Timeout | undefined;
  let last: Promise<unknown> = Promise.resolve();

  async function start(): Promise<Worker> {
    const started = new Worker(new URL(`./trial-worker${extname(import.meta.url)}`, import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: limits.memoryMb, stackSizeMb: 1 },
    });
    started.unref();
    await answerOf(started);
    return started;
  }

  async function stop(): Promise<void> {
    clearTimeout(idle);
    const stopped = worker;
    worker = undefined;
    await (await stopped?.catch(() => undefined))?.terminate();
  }

  async function run(schema: JsonSchema): Promise<void> {
    clearTimeout(idle);
    const thread = await (worker ??= start());
    const answered = answerOf(thread);
    thread.postMessage(schema, []);
    let answer: Answer | "late";
    try {
      answer = await withTimeout(answered, limits.timeoutMs);
    } catch (cause) {
      await stop();
      throw new SchemaError("it takes too much memory to compile", { cause });
    }
    if (answer === "late") {
      await stop();
      throw new SchemaError("it takes too long to compile");
    }
    idle = setTimeout(() => void stop(), idleMs).unref();
    if (answer.kind === "refused") throw new SchemaError(answer.reason);
  }

  return {
    check(schema) {
      // One schema at a time, because the time limit is per schema.
      const next = last.then(() => {
        checkSchema(schema);
        return JSON.stringify(schema).length <= smallLength ? undefined : run(schema);
      });
      last = next.catch(() => {});
      return next;
    },
    async close() {
      await last;
      await stop();
    },
  };
}

/** Returns the thread's next answer. Rejects if the thread ends instead. */
function answerOf(thread: Worker): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const onExit = (code: number): void => reject(new Error(`the thread ended with ${code}`));
  thread.once("message", resolve);
  thread.once("error", reject);
  thread.once("exit", onExit);
  const settled = promise.finally(() => {
    thread.off("message", resolve);
    thread.off("exit", onExit);
    thread.off("error", reject);
    // A later error must not become an uncaught exception of the process.
    thread.on("error", () => {});
  });
  return settled;
}

async function withTimeout<T>(promise: Promise<T>, timeoutMs: number): Promise<T | "late"> {
  const { promise: late, resolve } = Promise.withResolvers<"late">();
  const timer = setTimeout(() => resolve("late"), timeoutMs);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
    // The thread is terminated, so this answer is not awaited any more.
    promise.catch(() => {});
  }
}
