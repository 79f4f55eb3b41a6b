import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { Work } from "../../src/jobs/job-queue.ts";
import type { JobRow } from "../../src/jobs/job-table.ts";
import { codec } from "./stored-job.ts";
import { pass, startTestWorker, blockedWork, done, due, inState } from "./test-worker.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
});
afterEach(() => void vi.useRealTimers());

describe("a worker", () => {
  test("looks for jobs at once, when its table polls, and when it is woken", async () => {
    const { worker, dueClaims } = startTestWorker(done);
    await pass(999);
    expect(dueClaims()).toBe(1);
    await pass(1);
    expect(dueClaims()).toBe(2);
    worker.wake();
    await pass();
    expect(dueClaims()).toBe(3);
    await pass(999);
    expect(dueClaims()).toBe(3);
  });

  test("claims as many jobs as it has free slots, and again as soon as one of them ends if there may be more", async () => {
    const { ids, ends, work } = blockedWork();
    const { dueClaims } = startTestWorker(work, { due: ["a", "b", "c"].map(due) });
    await pass();
    expect([ids, dueClaims()]).toEqual([["a", "b"], 1]);
    await pass(10_000);
    expect(dueClaims()).toBe(1);
    ends[0]?.();
    await pass();
    expect(ids).toEqual(["a", "b", "c"]);
    ends[1]?.();
    ends[2]?.();
    await pass();
    const claims = dueClaims();
    await pass(999);
    expect(dueClaims()).toBe(claims);
  });

  test("tries every half second while the store is unavailable, with one log line per outage", async () => {
    const { server, dueClaims, log } = startTestWorker(done);
    await pass();
    server.away = true;
    await pass(1_000);
    expect(dueClaims()).toBe(2);
    await pass(1_000);
    expect(dueClaims()).toBe(4);
    const line = { level: "warn", message: "no jobs can be fetched at present", reason: "down" };
    expect(log.lines).toEqual([line]);
    server.away = false;
    await pass(1_500);
    server.away = true;
    await pass(1_500);
    expect(log.lines).toEqual([line, line]);
  });

  test("sends no more requests to an unavailable store, however often it is woken", async () => {
    const { worker, server, dueClaims } = startTestWorker(done);
    await pass();
    server.away = true;
    await pass(1_000);
    const claims = dueClaims();
    for (let time = 0; time < 2; time += 1) {
      worker.wake();
      await pass(100);
    }
    expect(dueClaims()).toBe(claims);
    await pass(400);
    expect(dueClaims()).toBe(claims + 1);
  });

  test("reports a problem once it has fetched nothing for more than three seconds, until it fetches again or is stopped", async () => {
    const { worker, server } = startTestWorker(done);
    await pass();
    server.away = true;
    await pass(3_000);
    expect(worker.problem()).toBeUndefined();
    await pass(1_000);
    expect(worker.problem()).toBe("no jobs have been fetched for 4 s: down");
    server.away = false;
    await pass(1_000);
    expect(worker.problem()).toBeUndefined();
    server.away = true;
    await pass(10_000);
    expect(worker.problem()).toMatch(/^no jobs have been fetched for \d+ s: down$/);
    await worker.stop();
    expect(worker.problem()).toBeUndefined();
  });

  test("reports a problem without a reason if its store does not answer", async () => {
    const { worker } = startTestWorker(done, { claim: () => new Promise(() => {}) });
    await pass(4_000);
    expect(worker.problem()).toBe("no jobs have been fetched for 4 s");
  });

  test("reports a problem if all slots are taken and none of its jobs has ended for more than five minutes", async () => {
    const { ends, work } = blockedWork();
    const { worker } = startTestWorker(work, { due: ["a", "b", "c"].map(due) });
    await pass(300_000);
    expect(worker.problem()).toBeUndefined();
    await pass(120_000);
    expect(worker.problem()).toBe("none of 2 running jobs has ended for 7 minutes");
    ends[0]?.();
    await pass(300_000);
    expect(worker.problem()).toBeUndefined();
    await pass(60_000);
    expect(worker.problem()).toBe("none of 2 running jobs has ended for 6 minutes");
  });

  test("releases a job as last saved if its work throws, due in a second", async () => {
    const failing: Work = async (record, lease) => {
      await lease.save(inState(record, JobState.DELIVERING));
      throw new Error("no detail");
    };
    const { writes } = startTestWorker(failing, { due: [due("a")] });
    await pass();
    expect(writes()).toEqual([
      ["a", { state: JobState.DELIVERING, next: "hold", record: expect.any(String) as string }],
      ["a", { state: JobState.DELIVERING, next: 1_000, record: expect.any(String) as string }],
    ]);
  });

  test("releases a job at once if its work throws because it must stop, and takes no more", async () => {
    const cutOff: Work = async (_record, { signal }) => {
      await new Promise((resolve) => signal.addEventListener("abort", resolve));
      throw new Error("aborted");
    };
    const { worker, writes, stopped, dueClaims } = startTestWorker(cutOff, { due: [due("a")] });
    await pass();
    await worker.stop(AbortSignal.abort());
    await pass();
    expect(writes()).toEqual([["a", { state: JobState.EXECUTING, next: 0, record: expect.any(String) as string }]]);
    expect(stopped).toEqual([worker]);
    const claims = dueClaims();
    worker.wake();
    await pass(10_000);
    expect([dueClaims(), vi.getTimerCount()]).toEqual([claims, 0]);
  });

  test("that is stopped during a claim waits for the answer, and gives the jobs back without starting them", async () => {
    const answer = Promise.withResolvers<void>();
    const { ids, work } = blockedWork();
    const { worker, server, rows, writes } = startTestWorker(work, {
      claim: async ({ token }) => {
        await answer.promise;
        const claimed = ["a", "torn"].map((id) => ({ ...due(id), token, ...(id === "torn" && { record: "{" }) }));
        for (const row of claimed) rows.set(row.id, row);
        return claimed;
      },
    });
    let stopped = false;
    const stopping = worker.stop(new AbortController().signal).then(() => (stopped = true));
    await pass();
    expect(stopped).toBe(false);
    answer.resolve();
    await stopping;
    const back = { state: JobState.EXECUTING, next: 0, keepDeaths: true };
    expect([ids, writes(), server.claims]).toEqual([
      [],
      [
        ["a", back],
        ["torn", back],
      ],
      [],
    ]);
  });

  test("that is stopped does not wait longer for the answer to a claim than it has time", async () => {
    const { worker } = startTestWorker(done, { claim: () => new Promise(() => {}) });
    await worker.stop(AbortSignal.abort());
    const time = new AbortController();
    const other = startTestWorker(done, { claim: () => new Promise(() => {}) });
    const stopping = other.worker.stop(time.signal);
    time.abort();
    await stopping;
  });

  test("looks for a job again when its pause is over, if the table does not poll earlier", async () => {
    const later = (afterMs: number): Work => {
      return async (record) => ({ kind: "later", record: inState(record, JobState.DELIVERING), afterMs });
    };
    const soon = startTestWorker(later(299), { due: [due("a")] });
    await pass(299);
    expect([soon.writes(), soon.dueClaims()]).toEqual([
      [["a", { state: JobState.DELIVERING, next: 299, record: expect.any(String) as string }]],
      1,
    ]);
    await pass(1);
    expect(soon.dueClaims()).toBe(2);
    const ended = startTestWorker(done, { due: [due("a")] });
    await pass(900);
    expect([ended.writes(), ended.dueClaims()]).toEqual([
      [["a", { state: JobState.DONE, next: 0, record: expect.any(String) as string }]],
      1,
    ]);
  });

  test("sets aside a job that no worker can process, with a log line; an unreadable record stays unchanged", async () => {
    const poison = { ...due("poison"), deaths: 3 };
    const torn = { ...due("torn"), record: "{" };
    const { writes, log, rows } = startTestWorker(done, { due: [torn, poison] });
    await pass();
    const error = "set aside: the process died 3 times in a row while this job was running";
    expect(writes()).toEqual([
      ["torn", { state: JobState.DEAD, next: 0 }],
      ["poison", { state: JobState.DEAD, next: 0, record: expect.any(String) as string }],
    ]);
    expect(codec.read(rows.get("poison")!).record.job.error).toBe(error);
    const message = "a job became a dead letter";
    expect(log.lines).toEqual([
      {
        level: "error",
        message,
        job: "torn",
        error: expect.stringMatching(/^the stored job cannot be read/) as string,
      },
      { level: "error", message, job: "poison", error },
    ]);
  });

  test("runs jobs that may have killed their process one at a time, looking for them once a second", async () => {
    const { ids, ends, work } = blockedWork();
    const { server } = startTestWorker(work, { concurrency: 3 });
    const suspect = (id: string): JobRow => ({ ...due(id), deaths: 2 });
    await pass();
    expect(server.claims).toEqual(["due", "suspects"]);
    server.suspects.push(suspect("a"), suspect("b"));
    await pass(999);
    expect(ids).toEqual([]);
    await pass(1);
    expect(ids).toEqual(["a"]);
    await pass(5_000);
    expect(ids).toEqual(["a"]);
    ends[0]?.();
    await pass();
    expect(ids).toEqual(["a", "b"]);
  });

  test("releases suspects that it claimed beside another, with their deaths", async () => {
    const { ids, ends, work } = blockedWork();
    const suspects = ["a", "b"].map((id) => ({ ...due(id), deaths: 2 }));
    const { writes } = startTestWorker(work, { due: suspects, concurrency: 3 });
    await pass();
    expect(ids).toEqual(["a"]);
    expect(writes()).toEqual([["b", { state: JobState.EXECUTING, next: 500, keepDeaths: true }]]);
    ends[0]?.();
    await pass();
  });
});
