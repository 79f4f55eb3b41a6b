import { expect, onTestFinished, test, vi } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobTable, NewJob } from "../../src/jobs/job-table.ts";
import { createRecentJobs } from "../../src/jobs/recent-jobs.ts";

function aJob(id: string): NewJob {
  const empty = { tenant: "", source: "", conversationId: "", runId: "", record: "" };
  return { ...empty, id, state: JobState.ACCEPTED };
}

/** A table that has lost the jobs of these ids and can be unavailable, with its requests and log lines. */
function losing(lost: string[], options: { canRestore?: boolean } = {}) {
  let now = 0;
  const seen = { asked: [] as string[], lines: [] as object[], away: false };
  const restore = async ({ id }: NewJob): Promise<boolean> => {
    if (seen.away) throw new Error("down");
    seen.asked.push(id);
    return lost.includes(id);
  };
  const table = { ...(options.canRestore !== false && { restore }) } as unknown as JobTable;
  const log = { warn: (fields: object, message: string) => void seen.lines.push({ ...fields, message }), error() {} };
  const recent = createRecentJobs(table, log, () => now);
  return { seen, recent, pass: (ms: number) => (now += ms) };
}

test("a server that is back gets the jobs of the last minute, with a log line for each that it had lost", async () => {
  const { seen, recent, pass } = losing(["b"]);
  recent.remember(aJob("old"));
  pass(1);
  for (const id of ["a", "b", "c"]) recent.remember(aJob(id));
  pass(60_000);
  await recent.restore();
  expect(seen.asked).toEqual(["a", "b", "c"]);
  const message = "the store has lost an acknowledged job: it is written again";
  expect(seen.lines).toEqual([{ job: "b", message }]);
});

test("a server that fails again is served at its next return", async () => {
  const { seen, recent } = losing([]);
  recent.remember(aJob("a"));
  seen.away = true;
  await recent.restore();
  expect(seen.asked).toEqual([]);
  seen.away = false;
  await recent.restore();
  expect(seen.asked).toEqual(["a"]);
});

test("a job that is cached again counts from then", async () => {
  const { seen, recent, pass } = losing([]);
  recent.remember(aJob("a"));
  recent.remember(aJob("b"));
  pass(40_000);
  recent.remember(aJob("a"));
  pass(40_000);
  await recent.restore();
  expect(seen.asked).toEqual(["a"]);
});

test("a job is deleted after a minute although nobody asks", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const { seen, recent, pass } = losing([]);
  recent.remember(aJob("a"));
  pass(30_000);
  vi.advanceTimersByTime(30_000);
  recent.remember(aJob("b"));
  pass(30_001);
  vi.advanceTimersByTime(30_001);
  // By this clock none is too old.
  pass(-60_001);
  await recent.restore();
  expect(seen.asked).toEqual(["b"]);
  pass(90_001);
  vi.advanceTimersByTime(30_000);
  expect(vi.getTimerCount()).toBe(0);
});

test("of more than 1,000 jobs the oldest are dropped", async () => {
  const { seen, recent } = losing([]);
  for (let count = 0; count <= 1_000; count += 1) recent.remember(aJob(`job-${count}`));
  await recent.restore();
  expect(seen.asked).toHaveLength(1_000);
  expect(seen.asked[0]).toBe("job-1");
});

test("nothing is cached if the store cannot lose anything", async () => {
  const { seen, recent } = losing([], { canRestore: false });
  recent.remember(aJob("a"));
  await recent.restore();
  expect([seen.asked, seen.lines]).toEqual([[], []]);
});
