import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { expect, test } from "vitest";
import { testRequirement } from "../support/test-requirement.ts";
import { genesysCall, get, post, sendRun } from "./support/requests.ts";
import { until } from "./support/until.ts";
import { startWorld, type World } from "./support/world.ts";

const requestsOf = (world: World, callId: string) =>
  world.downstream.requests.filter((request) => request.callId === callId);

testRequirement(
  ["001.3", "fault-001.lost"],
  "killed right after its 202: the batch is executed and delivered once",
  async () => {
    await using world = await startWorld();
    const service = await world.start();
    const release = world.downstream.hold();
    const { status } = await sendRun(service.url, "run", genesysCall("a", "put_known"), genesysCall("b", "look"));
    await service.kill();
    expect(status).toBe(202);
    release();
    await service.start();
    await until("it is delivered", () => world.deliveries.length === 1);
    expect(requestsOf(world, "a")).toHaveLength(1);
  },
  60_000,
);

testRequirement(
  "001.11",
  "killed between execution and delivery, and during the delivery: not executed again, the same body and key again (hazard 58)",
  async () => {
    await using world = await startWorld({ "503": 1 });
    const service = await world.start();
    expect(
      (await sendRun(service.url, "run", genesysCall("a", "put"), genesysCall("b", "set"), genesysCall("c", "look")))
        .status,
    ).toBe(202);
    await until("a delivery was tried and refused", () => world.deliveries.length > 0);
    await service.kill();
    world.platform.plan({ slow: 1 });
    const before = world.deliveries.length;
    await service.start();
    await until("the platform has it and has not answered", () => world.deliveries.length > before);
    await service.kill();
    world.platform.plan({});
    const taken = world.deliveries.length;
    await service.start();
    await until("it is delivered again", () => world.deliveries.length > taken);
    expect(new Set(world.deliveries.map(({ key, body, runId }) => `${runId} ${key} ${body}`)).size).toBe(1);
    for (const id of ["a", "b"]) expect(requestsOf(world, id)).toHaveLength(1);
  },
  60_000,
);

testRequirement(
  "001.11",
  "killed while a write runs: the model is told that the outcome is unknown, and the batch is delivered anyway",
  async () => {
    await using world = await startWorld();
    const service = await world.start();
    const release = world.downstream.hold();
    await sendRun(service.url, "run", genesysCall("a", "put"), genesysCall("b", "look"));
    await until("both are under way", () => world.downstream.busy === 2);
    await service.kill();
    release();
    await service.start();
    await until("it is delivered", () => world.deliveries.length === 1);
    expect(JSON.parse(world.deliveries[0]?.body ?? "")).toEqual({
      tool_calls: [
        {
          tool_call_id: "a",
          output: '{"error":"It is not known whether this request took effect. Do not repeat it; check first."}',
        },
        { tool_call_id: "b", output: '{"id":"b"}' },
      ],
    });
    expect(requestsOf(world, "a")).toHaveLength(1);
  },
  60_000,
);

testRequirement(
  "001.11",
  "killed while a job without scope and call ids runs: the writes that have ended do not run again",
  async () => {
    await using world = await startWorld();
    const service = await world.start();
    const call = (name: string) => ({ name, argumentsJson: JSON.stringify({ id: name }) });
    const submit = async (): Promise<string> => {
      const { text } = await post(`${service.url}/jackfield.v1.Jobs/SubmitJob`, {
        job: { id: "nightly", calls: [call("put"), call("look")] },
      });
      return (JSON.parse(text) as { job: { state: string } }).job.state;
    };
    const release = world.downstream.holdLooks();
    await submit();
    await until(
      "the write has ended and the read runs",
      () => world.downstream.requests.length === 1 && world.downstream.busy === 1,
    );
    await service.kill();
    release();
    await service.start();
    await until("the job is done", async () => (await submit()) === "JOB_STATE_DONE");
    expect(world.downstream.requests).toHaveLength(1);
  },
  60_000,
);

test("without free file descriptors it refuses connections, loses nothing, and recovers (hazard 62)", async () => {
  await using world = await startWorld();
  const service = await world.start({ command: ["sh", "-c", 'ulimit -n 96; exec "$@"', "sh"] });
  const { hostname, port } = new URL(service.url);
  const sockets: Socket[] = Array.from({ length: 150 }, () => connect(Number(port), hostname).on("error", () => {}));
  await Promise.all(
    sockets.map((socket) => Promise.race([once(socket, "connect"), once(socket, "close")]).catch(() => {})),
  );
  const jobs: (string | null)[] = [];
  for (let number = 0; number < 5; number += 1) {
    const reply = await sendRun(service.url, `full-${number}`, genesysCall(`full-${number}`, "put")).catch(
      () => undefined,
    );
    if (reply?.status === 202) jobs.push(reply.headers.get("jackfield-job-id"));
  }
  for (const socket of sockets) socket.destroy();
  await until("it takes work again", async () => {
    const reply = await sendRun(service.url, "after", genesysCall("after", "put")).catch(() => undefined);
    if (reply?.status === 202) jobs.push(reply.headers.get("jackfield-job-id"));
    return reply?.status === 202;
  });
  await until(
    "all is delivered",
    () => jobs.every((id) => world.deliveries.some(({ key, status }) => key === id && status === 200)),
    30_000,
  );
  expect((await get(`${service.url}/readyz`)).status).toBe(200);
  expect(service.alive).toBe(true);
}, 60_000);
