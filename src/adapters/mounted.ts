import type { AdapterHost } from "./adapter.ts";
import type { ClientGone } from "./client-gone.ts";
import type { PendingCalls } from "./pending-calls.ts";

/** Times that tests hold, in milliseconds. */
export interface MountTimes {
  /** How often an idle stream of events gets a comment line. */
  readonly commentEveryMs: number;
  /** How long a stream waits for a first sign before it opens: until then a fault can still be a 5xx. */
  readonly openAfterMs: number;
  /** How much longer than its answer deadline a stream may stay open. */
  readonly lingerMs: number;
  /** How long storing a job may take before the platform is told to come again. */
  readonly storeWithinMs: number;
  /** How often pending calls are looked through. */
  readonly sweepEveryMs: number;
}

/** The times in production. */
export const usualTimes: MountTimes = {
  commentEveryMs: 15_000,
  openAfterMs: 250,
  lingerMs: 5000,
  storeWithinMs: 2000,
  sweepEveryMs: 1000,
};

/** What the routes of one mounted adapter share. */
export interface MountedAdapter {
  readonly host: AdapterHost;
  readonly clientGone: ClientGone;
  readonly pending: { readonly calls: PendingCalls; readonly refusal: string } | undefined;
  readonly times: MountTimes;
}
