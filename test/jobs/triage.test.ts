import { expect, test } from "vitest";
import type { HeldLease } from "../../src/jobs/lease.ts";
import { triage } from "../../src/jobs/triage.ts";
import { aRecord } from "./samples.ts";

/** A claimed job during which this number of processes died. */
function lease(deaths: number, readable = true): HeldLease {
  const record = aRecord();
  if (!readable) record.job.error = "the stored job cannot be read: torn";
  return { row: { deaths }, read: { record, readable } } as unknown as HeldLease;
}

test("a job is sound until two processes died in a row, then a suspect, and set aside after the third", () => {
  const leases = [0, 1, 2, 3, 4].map((deaths) => lease(deaths));
  const error = "set aside: the process died 3 times in a row while this job was running";
  expect(triage(leases)).toEqual({
    sound: leases.slice(0, 2),
    suspects: [leases[2]],
    unusable: [
      { lease: leases[3], error },
      { lease: leases[4], error },
    ],
  });
});

test("a job that cannot be read is set aside with the reason, however few processes died", () => {
  const torn = lease(0, false);
  expect(triage([torn])).toEqual({
    sound: [],
    suspects: [],
    unusable: [{ lease: torn, error: "the stored job cannot be read: torn" }],
  });
});
