import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { StartTransport } from "./isolate.ts";
import type { FromIsolate } from "./isolation-protocol.ts";

/** What an isolate may take, and what it is told of its surroundings. */
export interface IsolateLimits {
  /** Heap in MiB. Outside of it there may be as much again, and 64 MiB more for a process. */
  readonly memoryMb: number;
  /** Its environment variables. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** How often the memory of a busy isolate is looked at, in milliseconds. */
const memoryCheckMs = 100;

/** In the repository modules are TypeScript, and packages are found by their source. */
export const sourceArgs = extname(import.meta.url) === ".ts" ? ["--conditions=@jackfield/source"] : [];

/** Starts isolates that are worker threads. */
export function createThreadTransport({ memoryMb, env }: IsolateLimits): StartTransport {
  return (on) => {
    const worker = new Worker(new URL(`./thread-main${extname(import.meta.url)}`, import.meta.url), {
      env: { ...env },
      resourceLimits: { maxOldGenerationSizeMb: memoryMb },
      ...(sourceArgs.length > 0 && { execArgv: sourceArgs }),
      // stdout may be the service's log, or its answers: what a plugin prints is neither.
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

    // The heap has a limit; buffers lie outside of it.
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
