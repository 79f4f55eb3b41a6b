import { setTimeout as delay } from "node:timers/promises";

/** First and longest pause between two looks at a call that runs in another process, in milliseconds. */
const pollMs = { first: 50, max: 500 };

/** Yields at once, and then after growing pauses, for ever. */
export async function* polls(): AsyncGenerator<void, never, undefined> {
  for (let pause = pollMs.first; ; pause = Math.min(pause * 2, pollMs.max)) {
    yield;
    await delay(pause);
  }
}
