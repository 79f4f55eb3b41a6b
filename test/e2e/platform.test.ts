import { expect } from "vitest";
import { createJackfieldClient, JobState } from "../../src/client.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { genesysCall, sendRun } from "./support/requests.ts";
import { until } from "./support/until.ts";
import { startWorld } from "./support/world.ts";

testRequirement(
  ["001.9", "fault-001.401"],
  "a platform that refuses permanently gets one attempt, or one more with a new token, and the job waits for an operator",
  async () => {
    await using world = await startWorld({ "401-always": 1 });
    const service = await world.start();
    const { jobs } = createJackfieldClient({ baseUrl: service.url });
    const stateOf = async (id: string) => (await jobs.getJob({ id })).job;

    const unauthorized =
      (await sendRun(service.url, "unauthorized", genesysCall("a", "put"))).headers.get("jackfield-job-id") ?? "";
    await until("it is dead", async () => (await stateOf(unauthorized))?.state === JobState.DEAD);
    expect((await stateOf(unauthorized))?.error).toMatch(/^Authentication\/Authorization failed: 401\. /);
    expect(world.deliveries).toHaveLength(2);
    expect(world.platform.tokens).toBe(2);

    world.platform.plan({ "403": 1 });
    const forbidden =
      (await sendRun(service.url, "forbidden", genesysCall("b", "put"))).headers.get("jackfield-job-id") ?? "";
    await until("it is dead", async () => (await stateOf(forbidden))?.state === JobState.DEAD);
    expect((await stateOf(forbidden))?.error).toMatch(/^Authentication\/Authorization failed: 403\. /);
    expect(world.deliveries).toHaveLength(3);

    world.platform.plan({});
    for (const id of [unauthorized, forbidden]) await jobs.retryJob({ id });
    await until(
      "a person's retry delivers both",
      () => world.deliveries.filter(({ status }) => status === 200).length === 2,
    );
    expect(world.downstream.requests.map(({ callId }) => callId)).toEqual(["a", "b"]);
  },
  60_000,
);

testRequirement(
  "001.9",
  "a delivery that may succeed later is retried with the same body and key, and not executed again",
  async () => {
    await using world = await startWorld();
    const service = await world.start();
    for (const fault of ["401", "408", "429", "429-date", "500", "503", "cut"] as const) {
      const tries = () => world.deliveries.filter(({ runId }) => runId === fault);
      world.platform.plan({ [fault]: 1 });
      expect(
        (await sendRun(service.url, fault, genesysCall(`${fault} a`, "put"), genesysCall("b", "look"))).status,
      ).toBe(202);
      await until(`${fault} was tried`, () => tries().length >= 1);
      world.platform.plan({});
      await until(`it is delivered after ${fault}`, () => tries().length === 2);
      const [first, second] = tries();
      expect(second).toMatchObject({ key: first?.key, body: first?.body, status: 200 });
      if (fault === "429") expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(1000);
      expect(world.downstream.requests.filter(({ callId }) => callId === `${fault} a`)).toHaveLength(1);
    }
  },
  60_000,
);
