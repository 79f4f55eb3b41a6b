import { lookup } from "node:dns";
import { Agent } from "undici";
import type { HttpRequest } from "../plugin/tool.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
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
  /** The certificates for connections; those of Node by default. */
  readonly trust?: Trust;
  /** Takes the secrets of the whole process out of what is quoted of an answer. */
  readonly hide?: (text: string) => string;
  /** Called where a TLS connection does not come about, with what to do about it. */
  readonly onTlsProblem?: ((origin: string, problem: string) => void) | undefined;
  /** From 0 to 1; chance by default. */
  readonly random?: () => number;
  /** Waits for a time in milliseconds before a retry, by a timer by default. */
  readonly pause?: RetryRule["pause"];
  /** Monotonic clock of the breakers in milliseconds. */
  readonly now?: () => number;
}

/** Outgoing HTTP over one pool. Close it at the end: connections stay open between requests. */
export function createOutbound(options: OutboundOptions): Outbound {
  const { connectTimeoutMs = 5000, random = Math.random, pause, trust = defaultTrust } = options;
  const guard = options.guard ?? createAddressGuard({ privateAddresses: options.privateAddresses });
  const userAgent = `Jackfield/${options.version}`;
  // Two pools: a connection that one tool may have because its origin is configured is not lent to another tool.
  const guarded = new Agent({
    connect: createConnector({ lookup: guard.lookup, timeout: connectTimeoutMs, allowH2: false }, trust),
  });
  const configured = new Agent({
    connect: createConnector({ lookup: createSharedLookup(lookup), timeout: connectTimeoutMs, allowH2: false }, trust),
  });

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

/** Builds URL, headers and body. Throws a DownstreamError where the URL is none. */
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
    if (lower !== "idempotency-key" && secretHeader.test(lower)) secrets.push(...secretsIn(value));
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
 * Follows at most 5 redirects of a GET or HEAD within its own origin. Every other redirect is returned as the answer it is:
 * credentials in headers of any name would go along to another origin.
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
 * Sends a request with a credential. A 401 is answered by one more attempt with renewed headers: nothing was executed. The
 * credential goes to origins of the tool's own configuration only, and never over headers that the tool sets itself.
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
    secrets: [...request.secrets, ...Object.values(headers).flatMap(secretsIn)],
  };
}

/** What must not be quoted of a header: all of it, and what follows the scheme in `Bearer …`. */
function secretsIn(header: string): string[] {
  return [header, header.replace(/^\w+\s+/, "")];
}
