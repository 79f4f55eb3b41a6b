import { expect, test } from "vitest";
import { fuzz } from "./fuzz.ts";

/**
 * The long form is `npm run fuzz`. JACKFIELD_SEED selects other requests: continuous integration chooses one for each run.
 * Beside other tests, the event loop may be blocked for three times as long.
 */
const seed = Number(process.env["JACKFIELD_SEED"] ?? 1);
const seconds = 20;

test(
  `any input to any entry point for ${seconds} s gets an answer in the right format, in time and within memory (seed ${seed}) (hazards 1, 2, 4, 11, 40 and 45)`,
  { timeout: 180_000, retry: 0 },
  async () => {
    const report = await fuzz({ seconds, seed, maxStallMs: 150, log: console.log });
    console.log(report.summary);
    expect(report.failure).toBeUndefined();
    expect(report.cases).toBeGreaterThanOrEqual(8 * 3);
  },
);
