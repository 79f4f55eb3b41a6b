import { create } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { createBackoff } from "../../src/jobs/backoff.ts";
import { claimedState, isOver, mayBecome, moved, retried } from "../../src/jobs/job-state.ts";
import { aRecord } from "./samples.ts";

const states = [
  JobState.ACCEPTED,
  JobState.EXECUTING,
  JobState.DELIVERING,
  JobState.DONE,
  JobState.DEAD,
  JobState.CANCELLED,
];

describe("a job's state", () => {
  test("never changes from delivery back to execution, and never leaves DONE and CANCELLED", () => {
    expect(mayBecome(JobState.DELIVERING, JobState.EXECUTING)).toBe(false);
    expect(mayBecome(JobState.DELIVERING, JobState.ACCEPTED)).toBe(false);
    for (const to of states) {
      expect(mayBecome(JobState.DONE, to)).toBe(to === JobState.DONE);
      expect(mayBecome(JobState.CANCELLED, to)).toBe(to === JobState.CANCELLED);
    }
  });

  test("can be cancelled only before the execution", () => {
    expect(states.filter((from) => mayBecome(from, JobState.CANCELLED))).toEqual([
      JobState.ACCEPTED,
      JobState.CANCELLED,
    ]);
  });

  test("changes by a legal transition only, and leaves the old record unchanged", () => {
    const record = aRecord();
    const next = moved(record, JobState.EXECUTING, { error: "why" });
    expect(next.job).toMatchObject({ state: JobState.EXECUTING, error: "why" });
    expect(record.job.state).toBe(JobState.ACCEPTED);
    expect(() => moved(record, JobState.DONE)).toThrow("a job may not go from ACCEPTED to DONE");
  });

  test("is EXECUTING once a worker has claimed it before its execution, otherwise unchanged", () => {
    expect(states.map(claimedState)).toEqual([JobState.EXECUTING, ...states.slice(1)]);
  });

  test("is reopened by a retry: for delivery if there are results, otherwise for execution, without its past", () => {
    const dead = { ...moved(moved(aRecord(), JobState.EXECUTING), JobState.DEAD, { error: "why" }), deliveryMs: 7 };
    const again = retried({ ...dead, failures: 3 });
    expect(again).toMatchObject({ job: { state: JobState.ACCEPTED, error: "" }, deliveryMs: 0, failures: 0 });
    const results = [create(ToolResultSchema, { callId: "1" })];
    const executed = retried({ ...dead, job: { ...dead.job, results } });
    expect(executed.job).toMatchObject({ state: JobState.DELIVERING, results });
    expect(() => retried(aRecord({ state: JobState.DONE }))).toThrow("a job may not go from DONE to ACCEPTED");
    expect(() => moved(aRecord(), 99 as JobState)).toThrow("a job may not go from ACCEPTED to 99");
  });

  test("is over when nothing more happens without an operator", () => {
    expect(states.filter(isOver)).toEqual([JobState.DONE, JobState.DEAD, JobState.CANCELLED]);
  });
});

test("the backoff doubles up to its limit, and jitter subtracts at most half", () => {
  const whole = createBackoff({ firstMs: 100, maxMs: 1_000, random: () => 0 });
  expect([1, 2, 3, 4, 5, 60].map(whole)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 10_000 }),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      (tries, chance) => {
        const pause = createBackoff({ firstMs: 100, maxMs: 1_000, random: () => chance })(tries);
        expect(pause).toBeLessThanOrEqual(1_000);
        expect(pause).toBeGreaterThanOrEqual(50);
      },
    ),
  );
});
