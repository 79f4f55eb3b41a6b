import { createOwnerWatch } from "./owner-watch.ts";
import { createServerTime } from "./server-time.ts";

/** What the server answers to a heartbeat: its time in Unix milliseconds, and the owners with their numbers of heartbeats. */
export interface HeartbeatAnswer {
  readonly time: number;
  readonly owners: readonly (readonly [owner: string, beats: string])[];
}

/** The heartbeat of an owner on a shared server, and what it learns by it. */
export interface Heartbeat {
  /** Sends one now. Rejects where the server cannot be reached or cannot write. */
  beat(): Promise<void>;
  /** The server's time until which it may still carry out a request that is sent now: later its caller has given up. */
  latest(): Promise<number>;
  /** See OwnerWatch. */
  dead(): string[];
  /** By how much the server's clock has been put forward, in milliseconds: time that has not passed. */
  readonly steppedMs: number;
  /** What an operator should know of the clocks. */
  notes(): string[];
  stop(): void;
}

/** Pause between two heartbeats, in milliseconds. */
export const beatMs = 800;

/** How long an owner counts as alive without a heartbeat, in milliseconds. */
const leaseMs = 2_500;

/** Difference of two clocks from which readiness mentions it, in milliseconds. */
const maxSkewMs = 1_000;

/** Starts the heartbeat. `answerWithinMs` is how long a request may take. */
export function createHeartbeat(
  send: () => Promise<HeartbeatAnswer>,
  { server, answerWithinMs }: { server: string; answerWithinMs: number },
): Heartbeat {
  const watch = createOwnerWatch({ leaseMs, maxIntervalMs: 1.25 * beatMs });
  const time = createServerTime();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  async function beat(): Promise<void> {
    const sentAt = performance.now();
    const answer = await send();
    time.set(answer.time, sentAt);
    watch.saw(answer.owners);
  }

  async function beatOn(): Promise<void> {
    try {
      await beat();
    } catch {
      // The server is away: each request that needs it fails by itself.
    }
    if (!stopped) timer = setTimeout(() => void beatOn(), beatMs);
  }

  void beatOn();
  return {
    beat,
    async latest() {
      if (!time.known()) await beat();
      return time.now() + answerWithinMs;
    },
    dead: () => watch.dead(),
    get steppedMs() {
      return time.steppedMs;
    },
    notes() {
      const { skewMs, steppedMs } = time;
      const notes: string[] = [];
      if (Math.abs(skewMs) > maxSkewMs) {
        const direction = skewMs > 0 ? "ahead of" : "behind";
        notes.push(
          `this machine's clock is ${(Math.abs(skewMs) / 1000).toFixed(1)} s ${direction} that of ${server}: synchronise both`,
        );
      }
      if (steppedMs > maxSkewMs)
        notes.push(
          `the clock of ${server} was put forward by ${(steppedMs / 1000).toFixed(1)} s: ended calls are kept as much longer`,
        );
      return notes;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
