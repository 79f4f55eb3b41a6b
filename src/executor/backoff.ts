import { setTimeout as delay } from "node:timers/promises";

/** First and longest pause between two looks at a call that runs in another process, in milliseconds. */
const pollMs = { first: 50, max: 500 };

/** Makes a function that waits before the next look: each time twice as long as before, up to a limit. */
export function createBackoff(): () => Promise<void> {
  let pause = pollMs.first;
  return () => {
    const waited = delay(pause);
    pause = Math.min(pause * 2, pollMs.max);
    return waited;
  };
}
