import type { Duration } from "@bufbuild/protobuf/wkt";

/** The share of a platform's patience that the way there and back may take, in milliseconds. */
const overheadMs = 100;

/** What is left of the platform's patience for the call itself, in milliseconds: at least half of it. */
export function answerBudgetMs(answerWithinMs: number): number {
  return Math.max(answerWithinMs - overheadMs, answerWithinMs / 2);
}

/** The answer deadline that goes with a call. Made once per route and shared by its requests. */
export function answerWithin(answerWithinMs: number): Duration {
  const ms = Math.round(answerBudgetMs(answerWithinMs));
  return {
    $typeName: "google.protobuf.Duration",
    seconds: BigInt(Math.floor(ms / 1000)),
    nanos: (ms % 1000) * 1_000_000,
  };
}
