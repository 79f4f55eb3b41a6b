import { Agent, buildConnector } from "undici";
import type { HttpRequest } from "../plugin/tool.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { type AddressGuard, createAddressGuard } from "./address-guard.ts";
import { statusError } from "./answer.ts";
import { DownstreamError } from "./downstream-error.ts";
import type { Answer, HttpScope, Outbound, SendScope } from "./http.ts";
import { createOrigins } from "./origins.ts";
import { transmitAuthorized } from "./authorize.ts";
import { prepare, type PreparedRequest } from "./prepare.ts";
import { followRedirects } from "./redirect.ts";
import { isRepeatable, type RetryRule, withRetries } from "./retry.ts";
import { createSender } from "./sender.ts";

/** What outgoing HTTP is made with. */
export interface OutboundOptions {
  /** Longest answer in bytes, decoded. */
  readonly downstreamBytes: number;
  /** Hosts or CIDRs that tools may reach although private; not read where `guard` is given. */
  readonly privateAddresses: readonly string[];
  readonly telemetry: Pick<Telemetry, "tracer" | "tracing" | "inject" | "metrics">;
  /** Our version, for `User-Agent`. */
  readonly version: string;
  /** Requests under way at once to one origin, 64 by default; the others wait. */
  readonly inFlightPerOrigin?: number;
  /** The same for single origins. */
  readonly inFlight?: Readonly<Record<string, number>>;
  /** Consecutive failures that open the breaker of an origin, 20 by default. */
  readonly breakerFailures?: number;
  /** Milliseconds until an open breaker lets a probe through, 2000 by default. */
  readonly breakerOpenMs?: number;
  /** Milliseconds that connecting may take, 5000 by default. */
  readonly connectTimeoutMs?: number;
  /** The guard, where it is shared. */
  readonly guard?: AddressGuard;
  /** From 0 to 1; chance by default. */
  readonly random?: () => number;
  /** Waits for a time in milliseconds before a retry, by a timer by default. */
  readonly pause?: RetryRule["pause"];
  /** Monotonic clock of the breakers in milliseconds. */
  readonly now?: () => number;
}

/** Outgoing HTTP over one pool. Close it at the end: connections stay open between requests. */
export function createOutbound(options: OutboundOptions): Outbound {
  const { connectTimeoutMs = 5000, random = Math.random, pause } = options;
  const guard = options.guard ?? createAddressGuard({ privateAddresses: options.privateAddresses });
  const userAgent = `Jackfield/${options.version}`;
  // Two pools: a connection that one tool may have because its origin is configured is not lent to another tool.
  const guarded = new Agent({
    connect: buildConnector({ lookup: guard.lookup, timeout: connectTimeoutMs, allowH2: false }),
  });
  const configured = new Agent({ connect: buildConnector({ timeout: connectTimeoutMs, allowH2: false }) });

  const transmit = createSender({
    guard,
    guarded,
    configured,
    downstreamBytes: options.downstreamBytes,
    telemetry: options.telemetry,
    stateOf: createOrigins({
      inFlightPerOrigin: (origin) => options.inFlight?.[origin] ?? options.inFlightPerOrigin ?? 64,
      breakerFailures: options.breakerFailures ?? 20,
      breakerOpenMs: options.breakerOpenMs ?? 2000,
      now: options.now ?? (() => performance.now()),
      metrics: options.telemetry.metrics,
    }),
  });

  return {
    httpFor(scope: HttpScope) {
      return async (url: string | URL, request: HttpRequest = {}) => {
        if (scope.sent !== undefined) scope.sent.used = true;
        const prepared = prepare(url, request, userAgent);
        const { retry: policy, deadline, signal, credential, configuredOrigins } = scope;
        const step = (one: PreparedRequest): Promise<Answer> =>
          credential === undefined || !configuredOrigins.has(one.url.origin)
            ? transmit(one, scope)
            : transmitAuthorized(one, credential, (authorized) => transmit(authorized, scope));
        const rule = { policy, deadline, signal, random, pause, repeatable: isRepeatable(request, scope.effect) };
        let last: Answer | undefined;
        try {
          return await withRetries(rule, async () => {
            last = await followRedirects(prepared, step);
            if (last.status < 200 || last.status > 299) throw statusError(last);
            return last;
          });
        } catch (reason) {
          const isAnswer = reason instanceof DownstreamError && reason.fault === "status";
          if (request.throwOnError === false && isAnswer && last !== undefined) return last;
          throw reason;
        }
      };
    },
    send: async (url: string | URL, request: HttpRequest, scope: SendScope) =>
      transmit(prepare(url, request, userAgent), scope),
    async close() {
      await Promise.all([guarded.destroy(), configured.destroy()]);
    },
  };
}
