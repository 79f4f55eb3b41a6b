import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { openPipeline } from "../measure-pipeline.ts";

/** Measures the memory of a call while its tool waits, in bytes on the heap and outside of it. */
export async function memoryPerWaitingCall(count: number): Promise<{ bytes: number }> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const { promise, resolve } = Promise.withResolvers<void>();
  const pipeline = openPipeline(1, {
    limits: { concurrency: count, queue: count },
    execute: async () => {
      await promise;
      return { items: [], total: 0 };
    },
  });
  const used = (): number => {
    collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  await Promise.resolve();
  const before = used();
  const calls = Array.from({ length: count }, (_each, number) =>
    pipeline.call(number, { sku: "SKU-8842", warehouse: "US-WEST" }),
  );
  await new Promise((done) => void setTimeout(done, 50));
  const bytes = (used() - before) / count;
  resolve();
  await Promise.all(calls);
  await pipeline[Symbol.asyncDispose]();
  return { bytes };
}
