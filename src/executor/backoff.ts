import { setTimeout as delay } from "node:timers/promises";

/** First and maximum pause between two checks of a call that runs in another process, in milliseconds. */
const pollMs = { first: 50, max: 500 };

/**
 * Creates a function that waits before the next check. Each pause is twice as long as the one before, up to the
 * maximum.
 */
export function createBackoff(): () => Promise<void> {
  let pause = pollMs.first;
  return () => {
    const waited = delay(pause);
    pause = Math.min(pause * 2, pollMs.max);
    return waited;
  };
}
