import { ROOT_CONTEXT } from "@opentelemetry/api";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { loadConfig } from "../../src/app/load-config.ts";
import { createGateway } from "../../src/conversations/gateway.ts";
import { createBackoff } from "../../src/jobs/backoff.ts";
import { createDeliverer } from "../../src/jobs/deliver.ts";
import { createSqliteJobQueue } from "../../src/jobs/drivers/sqlite.ts";
import { createJobRunner } from "../../src/jobs/runner.ts";
import { createOutbound } from "../../src/outbound/outbound.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { createSilentTelemetry } from "../../src/telemetry/silent.ts";
import { aRecord } from "../jobs/samples.ts";
import { rejection, scope, startDownstream } from "../outbound/downstream.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";

// Retries as in production: the random source is not replaced, and the times are the defaults.

beforeEach(() => void vi.spyOn(Math, "random").mockReturnValue(0.6));
afterEach(() => void vi.restoreAllMocks());

const telemetry = createSilentTelemetry();
const busy = () => startDownstream((response) => response.writeHead(429).end());

testRequirement(
  ["000.12", "003.6"],
  "requests of tools are retried after 0.5, 1 and 2 s plus up to a quarter",
  async () => {
    await using downstream = await busy();
    const pauses: number[] = [];
    const outbound = createOutbound({
      downstreamBytes: 1024,
      privateAddresses: [],
      telemetry,
      version: "1.2.3",
      pause: async (ms) => void pauses.push(ms),
    });
    try {
      const { retry: _short, ...usual } = scope({ origins: [downstream.origin] });
      await rejection(outbound.httpFor({ ...usual, retry: undefined })(downstream.origin));
      expect(pauses).toEqual([575, 1150, 2300]);
      expect(downstream.requests).toHaveLength(4);
    } finally {
      await outbound.close();
    }
  },
);

testRequirement("002.9", "requests to the model are retried after 2^n s plus part of a second, twice", async () => {
  await using gateway = await busy();
  const outbound = createOutbound({ downstreamBytes: 1024, privateAddresses: [], telemetry, version: "1.2.3" });
  const pauses: number[] = [];
  try {
    const ask = createGateway({
      baseUrl: gateway.origin,
      token: { get: async () => "t", refresh: async () => "t" },
      send: outbound.send,
      sleep: async (ms) => void pauses.push(ms),
    });
    const question = { model: "gpt-4o", messages: [], tools: [], conversationId: "c" };
    expect(String(await rejection(ask(question, AbortSignal.any([]), ROOT_CONTEXT)))).toContain("after retries");
    expect(pauses).toEqual([2000, 2600]);
  } finally {
    await outbound.close();
  }
});

test("deliveries are retried after 1 s, doubling to 60 s, shortened by up to half", async () => {
  using folder = scratchFolder();
  const store = await openSqliteStore({ folder: folder.path });
  const queue = createSqliteJobQueue(store);
  const runner = createJobRunner({
    queue,
    executorFor: () => {
      throw new TypeError("the job is executed already");
    },
    deliveries: { genesys: { tenant: "default", send: async () => ({ kind: "retry", error: "503" }) } },
    telemetry,
    retryForMs: 3_600_000,
    // The time between two tries is then only the pause.
    now: () => 0,
  });
  try {
    const pauses: [number, number | undefined][] = [];
    for (const attempts of [0, 1, 2, 9]) {
      const record = aRecord({ state: JobState.DELIVERING });
      await queue.enqueue({ ...record, job: { ...record.job, attempts } });
      await expect.poll(async () => (await queue.get(record.job.id))?.job.attempts).toBe(attempts + 1);
      pauses.push([attempts, (await queue.get(record.job.id))?.deliveryMs]);
    }
    expect(pauses).toEqual([
      [0, 700],
      [1, 1400],
      [2, 2800],
      [9, 42_000],
    ]);
  } finally {
    await runner.stop(AbortSignal.timeout(1000));
    await store.close();
  }
});

testRequirement(
  "001.9",
  "a delivery is given up when its attempts and pauses would take more than an hour",
  async () => {
    using folder = scratchFolder();
    const { delivery } = loadConfig({ env: {}, cwd: folder.path });
    const deliver = createDeliverer({
      ...delivery,
      deliveries: {
        genesys: { tenant: "default", send: async () => ({ kind: "retry", error: "503", afterMs: 60_000 }) },
      },
      telemetry,
      backoff: createBackoff(),
      now: () => 0,
      dead: (record) => ({ kind: "ended", record }),
    });
    const lease = { signal: AbortSignal.any([]), valid: () => true, save: async () => {} };
    const after = async (deliveryMs: number) =>
      (await deliver(aRecord({ state: JobState.DELIVERING, deliveryMs }), lease, ROOT_CONTEXT)).kind;
    expect([await after(3_540_000), await after(3_540_001)]).toEqual(["later", "ended"]);
  },
);
