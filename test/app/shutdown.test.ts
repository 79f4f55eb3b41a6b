import { EventEmitter } from "node:events";
import { pino } from "pino";
import { expect, test, vi } from "vitest";
import { createReadiness } from "../../src/app/readiness.ts";
import { createShutdown } from "../../src/app/shutdown.ts";

const log = pino({ level: "silent" });
const steps = { unready: () => {}, drain: () => {}, close: async () => {} };

test("a signal starts the shutdown at once, waits for running work and exits with 0", async () => {
  const target = new EventEmitter();
  const release = Promise.withResolvers<void>();
  const seen: (string | number)[] = [];
  const stop = createShutdown(
    {
      unready: () => void seen.push("unready"),
      drain: () => void seen.push("drain"),
      close: () => release.promise,
    },
    { log, exit: (code) => void seen.push(code) },
  ).listen(target);
  target.emit("SIGTERM", "SIGTERM");
  expect(seen).toEqual(["unready", "drain"]);
  release.resolve();
  await vi.waitFor(() => expect(seen).toEqual(["unready", "drain", 0]));
  stop();
  expect(target.listenerCount("SIGTERM") + target.listenerCount("SIGINT")).toBe(0);
});

test("readiness ends first, and new work is accepted during the delay", async () => {
  vi.useFakeTimers();
  try {
    const seen: string[] = [];
    const timed = {
      unready: () => void seen.push("unready"),
      drain: () => void seen.push("drain"),
      close: async () => {},
    };
    createShutdown(timed, { log, exit: () => {}, delayMs: 5000 }).take("SIGTERM");
    await vi.advanceTimersByTimeAsync(4999);
    expect(seen).toEqual(["unready"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(seen).toEqual(["unready", "drain"]);
  } finally {
    vi.useRealTimers();
  }
});

test("a second signal exits with 130 at once", () => {
  const codes: number[] = [];
  const shutdown = createShutdown(
    { ...steps, close: () => new Promise(() => {}) },
    { log, exit: (code) => void codes.push(code), graceMs: 10 },
  );
  shutdown.take("SIGINT");
  expect(codes).toEqual([]);
  shutdown.take("SIGTERM");
  expect(codes).toEqual([130]);
});

test("running work is stopped at the end of the grace time", async () => {
  const codes: number[] = [];
  const close = (expired: AbortSignal) =>
    new Promise<void>((resolve) => expired.addEventListener("abort", () => resolve()));
  createShutdown({ ...steps, close }, { log, exit: (code) => void codes.push(code), graceMs: 10 }).take("SIGTERM");
  await vi.waitFor(() => expect(codes).toEqual([0]));
});

test("a shutdown that fails or hangs exits with 1", async () => {
  const codes: number[] = [];
  const exit = (code: number) => void codes.push(code);
  createShutdown({ ...steps, close: () => Promise.reject(new Error("store")) }, { log, exit }).take("SIGTERM");
  await vi.waitFor(() => expect(codes).toEqual([1]));
  createShutdown({ ...steps, close: () => new Promise(() => {}) }, { log, exit, graceMs: 5, closeMs: 5 }).take(
    "SIGTERM",
  );
  await vi.waitFor(() => expect(codes).toEqual([1, 1]));
});

test("readiness: a check that rejects or hangs is a problem, a round is shared, draining is permanent", async () => {
  let rounds = 0;
  let now = 0;
  const readiness = createReadiness(
    [
      {
        name: "store",
        run: () => {
          rounds += 1;
          return Promise.reject(new Error("locked"));
        },
      },
      { name: "engine", run: () => new Promise(() => {}) },
      { name: "tools", run: () => ({ problems: [], notes: ["slow"] }) },
    ],
    { timeoutMs: 5, cacheMs: 1000, now: () => now },
  );
  const expected = { ready: false, problems: ["store: locked", "engine: no answer within 5 ms"], notes: ["slow"] };
  expect(await Promise.all([readiness.report(), readiness.report()])).toEqual([expected, expected]);
  expect(rounds).toBe(1);
  now = 1000;
  await readiness.report();
  expect(rounds).toBe(2);
  let told = 0;
  readiness.onChange(() => (told += 1));
  readiness.unready();
  expect([readiness.draining, readiness.serving(), told]).toEqual([false, false, 1]);
  readiness.drain();
  expect([readiness.draining, told]).toEqual([true, 1]);
  expect(await readiness.report()).toEqual({ ready: false, problems: ["the service is shutting down"], notes: [] });
});
