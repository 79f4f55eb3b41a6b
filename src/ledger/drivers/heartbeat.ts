import type { ErasureListener } from "../ledger.ts";
import { createErasures, type StoredErasure } from "./erasures.ts";
import { createOwnerWatch } from "./owner-watch.ts";
import { createServerTime } from "./server-time.ts";

/** The server's answer to a heartbeat: its time in Unix milliseconds, and all owners with their heartbeat counts. */
export interface HeartbeatAnswer {
  readonly time: number;
  readonly owners: readonly (readonly [owner: string, beats: string])[];
  /** What was erased on request in the last `erasureMs`. */
  readonly erasures: readonly StoredErasure[];
}

/** Sends an owner's heartbeats to a shared server, and tracks the server's clock and the other owners. */
export interface Heartbeat {
  /** Sends a heartbeat now. Rejects if the server is unreachable or cannot write. */
  beat(): Promise<void>;
  /**
   * The server's time until which it may still execute a request that is sent now. After that time the caller has given
   * up.
   */
  latest(): Promise<number>;
  /** See OwnerWatch. */
  dead(): string[];
  /** See Ledger. */
  onErased(listener: ErasureListener): void;
  /** How far the server's clock has been moved forward, in milliseconds. This time has not really passed. */
  readonly steppedMs: number;
  /** Findings about the clocks, for the operator. */
  notes(): string[];
  stop(): void;
}

/** Interval between two heartbeats, in milliseconds. */
export const beatMs = 800;

/** How long an owner counts as alive without a heartbeat, in milliseconds. */
const leaseMs = 2_500;

/** Clock difference from which readiness mentions it, in milliseconds. */
const maxSkewMs = 1_000;

/** Starts the heartbeat. `answerWithinMs` is the timeout of a request. */
export function createHeartbeat(
  send: () => Promise<HeartbeatAnswer>,
  { server, answerWithinMs }: { server: string; answerWithinMs: number },
): Heartbeat {
  const watch = createOwnerWatch({ leaseMs, maxIntervalMs: 1.25 * beatMs });
  const time = createServerTime();
  const erasures = createErasures();
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  async function beat(): Promise<void> {
    const sentAt = performance.now();
    const answer = await send();
    time.set(answer.time, sentAt);
    watch.saw(answer.owners);
    erasures.saw(answer.time, answer.erasures);
  }

  async function beatOn(): Promise<void> {
    try {
      await beat();
    } catch {
      // The server is unavailable: each request that needs it reports that itself.
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
    onErased: erasures.onErased,
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
          `the clock of ${server} was put forward by ${(steppedMs / 1000).toFixed(1)} s: ended calls are kept that much longer`,
        );
      return notes;
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
