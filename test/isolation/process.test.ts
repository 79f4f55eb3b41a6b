import { expect, test, vi } from "vitest";
import { type IsolatedOptions, isAlive, startDownstream, startIsolated } from "./start-isolated.ts";

const start = (options: Omit<IsolatedOptions, "isolation"> = {}) => startIsolated({ isolation: "process", ...options });

const pidOf = async (app: Awaited<ReturnType<typeof start>>, how = "pid"): Promise<number> =>
  Number((await app.call({ how })).output);

test("a process that is frozen between two calls affects neither", async () => {
  const app = await start({ isolates: 1, timeoutMs: 10_000, effect: "write" });
  const frozen = await pidOf(app);
  process.kill(frozen, "SIGSTOP");
  const next = await app.call({ how: "pid" });
  expect(next).toMatchObject({ outcome: "OK" });
  expect(Number(next.output)).not.toBe(frozen);
  await vi.waitFor(() => expect(isAlive(frozen)).toBe(false));
});

test("a process that is frozen in a call is ended at the execution deadline", async () => {
  const app = await start({ isolates: 1, timeoutMs: 2000 });
  const frozen = await pidOf(app);
  const url = await startDownstream(() => void process.kill(frozen, "SIGSTOP"));
  expect(await app.call({ how: "http", url })).toMatchObject({ outcome: "TIMED_OUT" });
  expect(await app.call({ how: "look" })).toMatchObject({ outcome: "OK" });
  await vi.waitFor(() => expect(isAlive(frozen)).toBe(false));
});

test("a process that is killed between two calls affects neither", async () => {
  const app = await start({ isolates: 1, timeoutMs: 10_000, effect: "write" });
  process.kill(await pidOf(app), "SIGKILL");
  expect(await app.call({ how: "look" })).toMatchObject({ outcome: "OK" });
});

test.each(["exit", "loop"])("processes that a tool has started end with its process (%s)", async (how) => {
  const app = await start({ isolates: 1, timeoutMs: 2000 });
  const started = await pidOf(app, "start another process");
  expect(isAlive(started)).toBe(true);
  await app.call({ how });
  await vi.waitFor(() => expect(isAlive(started)).toBe(false));
});

test("the signals of a supervisor and of a terminal end no call", async () => {
  const app = await start({ isolates: 1, timeoutMs: 10_000 });
  const pid = await pidOf(app);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.kill(pid, signal);
  expect(await pidOf(app)).toBe(pid);
});

test("the command line of a process contains no secrets", async () => {
  const app = await start({ config: { apiKey: "s3cret" }, timeoutMs: 10_000 });
  expect((await app.call({ how: "look" })).output).toContain("s3cret");
  expect((await app.call({ how: "argv" })).output).not.toContain("s3cret");
});

test("no process is left when the tool is closed", async () => {
  const app = await start({ isolates: 2, timeoutMs: 10_000 });
  const pid = await pidOf(app);
  const looping = app.call({ how: "loop" });
  await app.isolated.close();
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false));
  await looping;
});
