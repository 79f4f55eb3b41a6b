import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { isAlive, startWaitingDownstream } from "../isolation/start-isolated.ts";
import { post, readAnswer } from "../support/http-client.ts";
import { type Service, startService } from "./support/service.ts";
import { until } from "./support/until.ts";

/** Starts a service with one tool in processes of its own. */
function startIsolating(isolates: number): Promise<Service> {
  const use = join(import.meta.dirname, "../isolation/plugins/unruly.ts");
  const limits = { timeoutMs: 60_000, concurrency: isolates };
  return startService({
    config: { plugins: [{ use, isolation: "process", limits }], privateAddresses: ["127.0.0.1"] },
    env: { EXTERNAL_API_KEY: "s3cret" },
  });
}

let count = 0;

function call(service: Service, args: object): Promise<string> {
  const request = { tool_call_id: `call-${++count}`, name: "unruly", arguments: args };
  return readAnswer(post(`${service.url}/api/v1/llm/tool-callback`, request)).then(
    ({ text }) => (JSON.parse(text) as { output: string }).output,
    () => "",
  );
}

function childrenOf(pid: number): number[] {
  const ids = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim();
  return ids === "" ? [] : ids.split(" ").map(Number);
}

/** Returns the processor time of a process, in hundredths of a second. */
function cpuTicks(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[11]);
}

test("no process outlives a killed service, neither one that loops forever nor one that a tool has started", async () => {
  await using service = await startIsolating(2);
  const started = Number(await call(service, { how: "start another process" }));
  void call(service, { how: "loop" });
  await until("a process loops", () => childrenOf(service.pid).some((pid) => cpuTicks(pid) > 100), 20_000);
  const processes = [...childrenOf(service.pid), started];
  expect(processes.filter(isAlive).length).toBeGreaterThanOrEqual(3);
  await service.kill();
  await until("nothing is left", () => !processes.some(isAlive), 5000);
}, 60_000);

test("no process outlives a service that is killed while the process is frozen", async () => {
  await using service = await startIsolating(2);
  await call(service, { how: "pid" });
  const frozen = Number(await call(service, { how: "pid" }));
  process.kill(frozen, "SIGSTOP");
  const processes = childrenOf(service.pid);
  expect(processes).toContain(frozen);
  await service.kill();
  await until("nothing is left", () => !processes.some(isAlive), 5000);
}, 60_000);

test("a stop lets a call in a process finish, and ends the processes", async () => {
  await using service = await startIsolating(2);
  const held = await startWaitingDownstream();
  const running = call(service, { how: "http", url: held.url });
  await held.requested;
  const processes = childrenOf(service.pid);
  expect(processes.filter(isAlive).length).toBeGreaterThanOrEqual(1);
  service.signal("SIGTERM");
  await until("it shuts down", () => service.log.some((line) => line.includes("shutting down")), 10_000);
  held.answer();
  expect(await running).toBe("{}");
  expect(await service.ended()).toEqual({ code: 0, signal: null });
  await until("nothing is left", () => !processes.some(isAlive), 5000);
}, 60_000);

test("a second signal ends the processes at once, including one that loops forever", async () => {
  await using service = await startIsolating(1);
  void call(service, { how: "loop" });
  await until("a process loops", () => childrenOf(service.pid).some((pid) => cpuTicks(pid) > 100), 20_000);
  const processes = childrenOf(service.pid);
  service.signal("SIGTERM");
  await until("it shuts down", () => service.log.some((line) => line.includes("shutting down")), 10_000);
  service.signal("SIGTERM");
  expect(await service.ended()).toEqual({ code: 130, signal: null });
  await until("nothing is left", () => !processes.some(isAlive), 5000);
}, 60_000);

test("a tool in a process sees no variable of the service, and its output is not lost", async () => {
  await using service = await startIsolating(1);
  expect(await call(service, { how: "env" })).not.toMatch(/s3cret|JACKFIELD|EXTERNAL_API/);
  expect(await call(service, { how: "print" })).toBe("done");
  await until("it is printed", () => service.log.includes("printed by a tool"), 5000);
}, 60_000);
