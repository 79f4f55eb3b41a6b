import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobRecord } from "../../src/jobs/job-queue.ts";
import type { JobRow } from "../../src/jobs/job-table.ts";
import { aRecord } from "./samples.ts";
import { aHeldRow, codec } from "./stored-job.ts";
import { pass, startTestWorker, blockedWork, done } from "./test-worker.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterEach(() => void vi.useRealTimers());

describe("a job that is submitted to a running worker", () => {
  const submitted = (
    id: string,
  ): [Parameters<ReturnType<typeof startTestWorker>["worker"]["insert"]>[0], JobRecord] => {
    const record = aRecord({ id });
    return [codec.newJob(record), record];
  };

  test("is stored as held and processed in its next state, once its submitter has been answered", async () => {
    const seen: JobRecord[] = [];
    const { worker, requests, rows } = startTestWorker(async (record) => (seen.push(record), await done(record)));
    await pass();
    requests.length = 0;
    const inserted = worker.insert(...submitted("a"));
    expect(await inserted).toBeUndefined();
    expect(requests).toEqual([["insert", "a", expect.stringMatching(/^me\.\d+$/)]]);
    expect(seen).toEqual([]);
    await pass();
    expect(seen.map(({ job }) => [job.id, job.state])).toEqual([["a", JobState.EXECUTING]]);
    expect(rows.get("a")).toMatchObject({ state: JobState.DONE, held: false });
  });

  test("is not processed if its id is known", async () => {
    const { ids, work } = blockedWork();
    const { worker, rows } = startTestWorker(work);
    rows.set("a", aHeldRow("a", "another's"));
    await pass();
    expect(await worker.insert(...submitted("a"))).toBe(rows.get("a"));
    await pass();
    expect(ids).toEqual([]);
    expect(worker.insert(...submitted("b"))).toBeDefined();
  });

  test("is held by nobody if it could not be stored: a row that was stored anyway is released", async () => {
    const { ids, work } = blockedWork();
    const tokens: string[] = [];
    const insert = (_job: unknown, token: string): Promise<never> => {
      tokens.push(token);
      return Promise.reject(new Error("no answer"));
    };
    const { worker, requests } = startTestWorker(work, { insert });
    await pass();
    await expect(worker.insert(...submitted("a"))).rejects.toThrow("no answer");
    await pass(1_000);
    expect(ids).toEqual([]);
    const released = requests.filter(([name]) => name === "release").map(([, token]) => token);
    expect(new Set(released)).toEqual(new Set(tokens));
  });

  test("waits in the table if older jobs may wait, no slot is free, or the store was unavailable", async () => {
    const { ids, ends, work } = blockedWork();
    const { worker, server } = startTestWorker(work, { concurrency: 1 });
    expect(worker.insert(...submitted("before the first claim"))).toBeUndefined();
    await pass();
    void worker.insert(...submitted("a"));
    expect(worker.insert(...submitted("b"))).toBeUndefined();
    await pass();
    expect(ids).toEqual(["a"]);
    ends[0]?.();
    await pass();
    server.away = true;
    await pass(1_000);
    expect(worker.insert(...submitted("c"))).toBeUndefined();
    server.away = false;
    await pass(1_000);
    expect(worker.insert(...submitted("d"))).toBeDefined();
    await pass();
    ends[1]?.();
    await pass();
    await worker.stop();
    expect(worker.insert(...submitted("e"))).toBeUndefined();
  });

  test("does not take slots that a running claim may fill", async () => {
    const answer = Promise.withResolvers<JobRow[]>();
    let claims = 0;
    const { worker } = startTestWorker(done, {
      claim: async ({ suspects }) => (!suspects && (claims += 1) === 2 ? await answer.promise : []),
    });
    await pass(1_000);
    expect(claims).toBe(2);
    expect(worker.insert(...submitted("a"))).toBeUndefined();
    answer.resolve([]);
    await pass();
    expect(worker.insert(...submitted("a"))).toBeDefined();
  });
});
