import { expect, test } from "vitest";
import { get, genesysCall, post, sendCallback, sendRun, streamResults } from "./support/requests.ts";
import { until } from "./support/until.ts";
import { startWorld } from "./support/world.ts";

test("SIGTERM under load: running calls finish, streams end properly, new work is refused, exit code 0 (hazard 59)", async () => {
  await using world = await startWorld();
  const service = await world.start();
  const { url } = service;
  const release = world.downstream.hold();
  const stream = post(`${url}/llm-gateway/tools`, {
    conversation_id: "c",
    tool_calls: [genesysCall("s1", "put"), genesysCall("s2", "look")],
  });
  const callback = sendCallback(url, "c1", "put");
  const run = await sendRun(url, "run", genesysCall("r1", "put"));
  expect(run.status).toBe(202);
  await until("all four are under way", () => world.downstream.busy === 4);

  service.signal("SIGTERM");
  await until("it shuts down", () => service.log.some((line) => line.includes("shutting down")));
  await until("new work is refused", async () => {
    const reply = await sendRun(url, "late", genesysCall("late", "put")).catch(() => undefined);
    return reply === undefined || reply.status === 503;
  });
  const ready = await get(`${url}/readyz`).catch(() => undefined);
  expect(ready?.status ?? 503).toBe(503);
  expect(service.alive).toBe(true);
  release();

  expect(streamResults((await stream).text).map(({ id, output }) => [id, output.includes('"id"')])).toEqual([
    ["s1", true],
    ["s2", true],
  ]);
  const answer = await callback;
  expect([answer.status, answer.text.includes("number")]).toEqual([200, true]);
  expect(await service.ended()).toEqual({ code: 0, signal: null });
  const ids = world.downstream.requests.map(({ callId }) => callId);
  expect(ids.toSorted()).toEqual(["c1", "r1", "s1"]);

  await service.start();
  await until("the run is delivered", () => world.deliveries.some(({ status }) => status === 200));
  expect(world.downstream.requests).toHaveLength(3);
  expect(new Set(world.deliveries.map(({ key, body }) => `${key} ${body}`)).size).toBe(1);
}, 60_000);

test("a second signal exits with 130 at once, and nothing acknowledged is lost", async () => {
  await using world = await startWorld();
  const service = await world.start();
  const release = world.downstream.hold();
  await sendRun(service.url, "run", genesysCall("a", "put_known"));
  await until("it is under way", () => world.downstream.busy === 1);
  service.signal("SIGTERM");
  await until("it shuts down", () => service.log.some((line) => line.includes("shutting down")));
  service.signal("SIGINT");
  expect(await service.ended()).toEqual({ code: 130, signal: null });
  release();
  await service.start();
  await until("the run is delivered", () => world.deliveries.some(({ status }) => status === 200));
  expect(world.downstream.requests).toHaveLength(1);
}, 60_000);
