import type { Duration } from "@bufbuild/protobuf/wkt";

/** The share of a platform's time limit that the network may take, in milliseconds. */
const overheadMs = 100;

/** Returns the time that remains for the call itself, in milliseconds: at least half of the platform's limit. */
export function answerBudgetMs(answerWithinMs: number): number {
  return Math.max(answerWithinMs - overheadMs, answerWithinMs / 2);
}

/** Returns the answer deadline of a call. Created once per route and shared by its requests. */
export function answerDuration(answerWithinMs: number): Duration {
  return durationOf(answerBudgetMs(answerWithinMs));
}

/** Converts milliseconds to a protobuf duration. */
export function durationOf(milliseconds: number): Duration {
  const ms = Math.round(milliseconds);
  return {
    $typeName: "google.protobuf.Duration",
    seconds: BigInt(Math.floor(ms / 1000)),
    nanos: (ms % 1000) * 1_000_000,
  };
}
