import type { Config } from "../config/config.ts";
import { type AddressGuard, createAddressGuard } from "../outbound/address-guard.ts";
import type { Outbound } from "../outbound/http.ts";
import { createOutbound } from "../outbound/outbound.ts";
import { createTrust, type Trust } from "../outbound/trust.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { version } from "../version.ts";

/** Outgoing requests of the process, and their restrictions. */
export interface Outgoing {
  readonly outbound: Outbound;
  readonly guard: AddressGuard;
  readonly trust: Trust;
  /** Logs that a TLS connection to an origin fails, at most once a minute per origin. */
  onTlsProblem(origin: string, problem: string): void;
  close(): Promise<void>;
}

/** Interval in which problems of one origin are logged only once, in milliseconds. */
const logIntervalMs = 60_000;

/** Creates outgoing HTTP and related parts from the configuration. */
export function createOutgoing(config: Config, telemetry: Telemetry): Outgoing {
  const { limits, privateAddresses, inFlight, downstreamTls } = config;
  const guard = createAddressGuard({ privateAddresses });
  const trust = createTrust(downstreamTls, { log: telemetry.log });
  const loggedAt = new Map<string, number>();
  function onTlsProblem(origin: string, problem: string): void {
    const now = performance.now();
    if (now - (loggedAt.get(origin) ?? -Infinity) < logIntervalMs) return;
    loggedAt.delete(origin);
    if (loggedAt.size >= 1000) loggedAt.clear();
    loggedAt.set(origin, now);
    telemetry.log.error({ origin, problem }, "a downstream cannot be reached by TLS");
  }
  const outbound = createOutbound({
    downstreamBytes: limits.downstreamBytes,
    privateAddresses,
    guard,
    trust,
    telemetry,
    version,
    hide: telemetry.redact,
    inFlight,
    onTlsProblem,
  });
  return {
    outbound,
    guard,
    trust,
    onTlsProblem,
    close() {
      trust.close();
      return outbound.close();
    },
  };
}
