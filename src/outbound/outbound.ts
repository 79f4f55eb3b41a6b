import { lookup } from "node:dns";
import type { LookupFunction } from "node:net";
import { Agent } from "undici";
import type { HttpRequest } from "../plugin/tool.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { createPacer } from "../timing.ts";
import { type AddressGuard, createAddressGuard } from "./address-guard.ts";
import { acceptEncoding, statusError } from "./answer.ts";
import { DownstreamError } from "./downstream-error.ts";
import type { Answer, Credential, HttpScope, Outbound, SendScope } from "./http.ts";
import { createOrigins } from "./origins.ts";
import { isRepeatable, logRetries, pauseBeforeRetry, type RetryRule } from "./retry.ts";
import { createSharedLookup } from "./shared-lookup.ts";
import { createConnector, defaultTrust, type Trust } from "./trust.ts";
import { createSender, type PreparedRequest } from "./sender.ts";

const secretHeader = /auth|key|token|secret|cookie|password/;
const redirects: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const maxHops = 5;

/** Time per turn of the event loop for requests that get another one's slot, in milliseconds. */
const pacedMsPerTurn = 0.5;

/** Options of outgoing HTTP. */
export interface OutboundOptions {
  /** Maximum size of a decoded response in bytes. */
  readonly downstreamBytes: number;
  /** Private hosts or CIDRs that tools may reach. Ignored if `guard` is given. */
  readonly privateAddresses: readonly string[];
  readonly telemetry: Pick<Telemetry, "tracer" | "tracing" | "inject" | "metrics">;
  /** Version of the service, for `User-Agent`. */
  readonly version: string;
  /** Maximum number of concurrent requests per origin; 64 by default. Further ones wait. */
  readonly inFlightPerOrigin?: number;
  /** The same limit for individual origins. */
  readonly inFlight?: Readonly<Record<string, number>>;
  /** Number of consecutive failures that open an origin's circuit breaker; 20 by default. */
  readonly breakerFailures?: number;
  /** Milliseconds until an open circuit breaker admits a probe; 2000 by default. */
  readonly breakerOpenMs?: number;
  /** Connection timeout in milliseconds; 5000 by default. */
  readonly connectTimeoutMs?: number;
  /** A shared address guard. */
  readonly guard?: AddressGuard;
  /** Certificates for connections; Node's by default. */
  readonly trust?: Trust;
  /** Redacts the secrets of the whole process in quoted responses. */
  readonly hide?: (text: string) => string;
  /** Called when a TLS connection fails, with a hint for the operator. */
  readonly onTlsProblem?: ((origin: string, problem: string) => void) | undefined;
  /** Random number from 0 to 1; `Math.random` by default. */
  readonly random?: () => number;
  /** Waits for a duration in milliseconds before a retry; a timer by default. */
  readonly pause?: RetryRule["pause"];
  /** Monotonic clock of the circuit breakers in milliseconds. */
  readonly now?: () => number;
}

/** Creates outgoing HTTP over one pool. Close it at the end: connections stay open between requests. */
export function createOutbound(options: OutboundOptions): Outbound {
  const { connectTimeoutMs = 5000, random = Math.random, pause, trust = defaultTrust } = options;
  const guard = options.guard ?? createAddressGuard({ privateAddresses: options.privateAddresses });
  const userAgent = `Jackfield/${options.version}`;
  // Two pools: a connection to a private address or with our client certificate, allowed by one tool's configuration,
  // must not be reused for another tool.
  const pool = (resolve: LookupFunction, isConfigured: boolean): Agent =>
    new Agent({
      connect: createConnector({ lookup: resolve, timeout: connectTimeoutMs, allowH2: false }, trust, isConfigured),
    });
  const guarded = pool(guard.lookup, false);
  const configured = pool(createSharedLookup(lookup), true);

  const transmit = createSender({
    guard,
    guarded,
    configured,
    downstreamBytes: options.downstreamBytes,
    telemetry: options.telemetry,
    onTlsProblem: options.onTlsProblem,
    hide: options.hide,
    stateOf: createOrigins({
      inFlightPerOrigin: (origin) => options.inFlight?.[origin] ?? options.inFlightPerOrigin ?? 64,
      breakerFailures: options.breakerFailures ?? 20,
      breakerOpenMs: options.breakerOpenMs ?? 2000,
      now: options.now ?? (() => performance.now()),
      metrics: options.telemetry.metrics,
      pace: createPacer(pacedMsPerTurn),
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
        for (let retry = 0; ; retry += 1) {
          let last: Answer | undefined;
          try {
            last = await followRedirects(prepared, step);
            if (last.status < 300) return last;
            throw statusError(last);
          } catch (reason) {
            const repeatable = isRepeatable(request, scope.effect);
            try {
              const onRetry = logRetries(scope.log, prepared.url.origin);
              await pauseBeforeRetry({ policy, deadline, signal, random, pause, repeatable, onRetry }, retry, reason);
            } catch (final) {
              if (request.throwOnError === false && final === reason && last !== undefined) return last;
              throw final;
            }
          }
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

/** Builds URL, headers and body. Throws a DownstreamError for an invalid URL. */
function prepare(target: string | URL, request: HttpRequest, userAgent: string): PreparedRequest {
  const url = URL.parse(String(target));
  if (url === null) throw new DownstreamError("refused", "The URL is not valid.", { sent: false });
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  const headers: Record<string, string> = {
    "user-agent": userAgent,
    accept: "application/json",
    "accept-encoding": acceptEncoding,
  };
  if (request.json !== undefined) headers["content-type"] = "application/json";
  if (request.idempotencyKey !== undefined) headers["idempotency-key"] = request.idempotencyKey;
  const secrets: string[] = [];
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    const lower = name.toLowerCase();
    headers[lower] = value;
    if (lower !== "idempotency-key" && secretHeader.test(lower)) secrets.push(...headerSecrets(value));
  }
  return {
    url,
    method: request.method ?? "GET",
    headers,
    body: request.json === undefined ? request.body : JSON.stringify(request.json),
    secrets,
  };
}

/**
 * Follows at most 5 redirects of a GET or HEAD within its origin. Any other redirect is returned as the answer, because
 * credentials, in headers of any name, would be sent to another origin.
 */
async function followRedirects(
  first: PreparedRequest,
  transmit: (request: PreparedRequest) => Promise<Answer>,
): Promise<Answer> {
  let request = first;
  let answer = await transmit(request);
  for (let hops = 0; hops < maxHops && redirects.has(answer.status); hops += 1) {
    const next = nextUrl(request, answer);
    if (next === undefined) break;
    request = { ...request, url: next };
    answer = await transmit(request);
  }
  return answer;
}

function nextUrl({ method, url }: PreparedRequest, { headers }: Answer): URL | undefined {
  if ((method !== "GET" && method !== "HEAD") || !headers["location"]) return undefined;
  const next = URL.parse(headers["location"], url);
  return next?.origin === url.origin ? next : undefined;
}

/**
 * Sends a request with a credential. After a 401 it tries once more with renewed headers, because the request was not
 * executed. The credential is sent only to origins from the tool's own configuration, and never replaces headers that
 * the tool sets itself.
 */
async function transmitAuthorized(
  request: PreparedRequest,
  credential: Credential,
  transmit: (request: PreparedRequest) => Promise<Answer>,
): Promise<Answer> {
  const headers = await credential.headers();
  if (Object.keys(headers).some((name) => Object.hasOwn(request.headers, name))) return transmit(request);
  const first = await transmit(withHeaders(request, headers));
  if (first.status !== 401) return first;
  const renewed = await credential.renew(headers);
  return renewed === undefined ? first : transmit(withHeaders(request, renewed));
}

function withHeaders(request: PreparedRequest, headers: Readonly<Record<string, string>>): PreparedRequest {
  return {
    ...request,
    headers: { ...request.headers, ...headers },
    secrets: [...request.secrets, ...Object.values(headers).flatMap(headerSecrets)],
  };
}

/**
 * Returns the texts of a header that must not be quoted: the whole value, and the part after the scheme in `Bearer …`.
 */
function headerSecrets(header: string): string[] {
  return [header, header.replace(/^\w+\s+/, "")];
}
