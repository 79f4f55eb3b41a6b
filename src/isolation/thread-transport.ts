import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { StartTransport } from "./isolate.ts";
import type { FromIsolate } from "./isolation-protocol.ts";

/** Limits and environment of an isolate. */
export interface IsolateLimits {
  /** Heap in MiB. The isolate may use the same amount again outside the heap, and a process 64 MiB more. */
  readonly memoryMb: number;
  /** Environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Interval of memory checks of a busy isolate, in milliseconds. */
const memoryCheckMs = 100;

/** In the repository, modules are TypeScript and packages resolve to their source. */
export const sourceArgs = extname(import.meta.url) === ".ts" ? ["--conditions=@jackfield/source"] : [];

/** Starts isolates as worker threads. */
export function createThreadTransport({ memoryMb, env }: IsolateLimits): StartTransport {
  return (on) => {
    const worker = new Worker(new URL(`./thread-main${extname(import.meta.url)}`, import.meta.url), {
      env: { ...env },
      resourceLimits: { maxOldGenerationSizeMb: memoryMb },
      ...(sourceArgs.length > 0 && { execArgv: sourceArgs }),
      // stdout may carry the service's log or its answers, so a plugin's output does not go there.
      stdout: true,
      stderr: true,
    });
    worker.unref();
    for (const stream of [worker.stdout, worker.stderr]) {
      stream.on("data", (chunk: Buffer) => void process.stderr.write(chunk));
    }
    let reason: string | undefined;
    worker.on("message", (message: FromIsolate) => on.message(message));
    worker.on("error", (error: unknown) => (reason ??= error instanceof Error ? error.message : String(error)));
    worker.on("exit", (code) => {
      clearInterval(timer);
      on.end(`the thread of the tool ended: ${reason ?? `exit code ${code}`}`);
    });

    // The heap has its own limit; this covers buffers outside it.
    const checkMemory = async (): Promise<void> => {
      const { external_memory: bytes } = await worker.getHeapStatistics();
      if (bytes <= memoryMb * 2 ** 20) return;
      reason ??= `it took more than ${memoryMb} MiB of memory outside of its heap`;
      void worker.terminate();
    };
    let timer: NodeJS.Timeout | undefined;
    return {
      post: (message) => worker.postMessage(message, []),
      kill: () => void worker.terminate(),
      setBusy(busy) {
        clearInterval(timer);
        if (busy) worker.ref();
        else worker.unref();
        timer = busy ? setInterval(() => void checkMemory().catch(() => {}), memoryCheckMs).unref() : undefined;
      },
    };
  };
}
