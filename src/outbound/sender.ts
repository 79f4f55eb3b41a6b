import { context as activeContext, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Dispatcher } from "undici";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { tlsProblem } from "../config/tls-problem.ts";
import type { AddressGuard } from "./address-guard.ts";
import { readAnswer, type WireAnswer } from "./answer.ts";
import { DownstreamError, lateError, networkError, tooLargeError } from "./downstream-error.ts";
import type { Answer, HttpScope, SendScope } from "./http.ts";
import type { Ending, OriginState } from "./origins.ts";

/** A request ready to be sent. */
export interface PreparedRequest {
  readonly url: URL;
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array | undefined;
  /** Header values that must not be quoted. */
  readonly secrets: readonly string[];
}

/** Dependencies of the sender. */
export interface SenderParts {
  readonly guard: AddressGuard;
  /** Connects through the guard. */
  readonly guarded: Dispatcher;
  /** Connects to origins configured by the operator. */
  readonly configured: Dispatcher;
  readonly downstreamBytes: number;
  readonly telemetry: Pick<Telemetry, "tracer" | "tracing" | "inject">;
  readonly stateOf: (origin: string) => OriginState;
  /** Redacts the secrets of the whole process in quoted responses. */
  readonly hide?: ((text: string) => string) | undefined;
  /** Called when a TLS connection fails, with a hint for the operator. */
  readonly onTlsProblem?: ((origin: string, problem: string) => void) | undefined;
}

/** The run that a request belongs to, if any. */
type Run = Partial<Pick<HttpScope, "deadline" | "sendUntil" | "sent">>;

/** Statuses by which a proxy reports that no server behind it is available: the origin counts as not answering. */
const unavailableStatuses: ReadonlySet<number> = new Set([502, 503, 504]);

/**
 * Number of chunks of a body that are kept before they are joined. A kept chunk takes more than a hundred bytes, and a
 * downstream may send each byte in a chunk of its own. Large chunks reach the limit of the body first.
 */
const maxChunks = 128;

/** Rejects a URL that is not plain http or https. Throws a DownstreamError. */
export function checkUrl({ protocol, username, password }: URL): void {
  if (protocol !== "https:" && protocol !== "http:") {
    throw new DownstreamError("refused", "Only http and https URLs can be requested.", { sent: false });
  }
  if (username !== "" || password !== "") {
    throw new DownstreamError("refused", "A URL with a user name or password is not requested.", { sent: false });
  }
}

/**
 * Creates the sender of prepared requests. Each request is sent once: it passes the guard, waits for a slot, passes the
 * circuit breaker, and gets its own span.
 */
export function createSender(parts: SenderParts) {
  return async (prepared: PreparedRequest, scope: SendScope & Run): Promise<Answer> => {
    const { url, method } = prepared;
    const { origin } = url;
    checkUrl(url);
    const isConfigured = scope.configuredOrigins.has(origin);
    if (!isConfigured) parts.guard.check(url);
    const { breaker, inFlight } = parts.stateOf(origin);
    if (breaker.blocked) throw notAnswering();
    const queued = inFlight.enter(scope.signal);
    if (queued !== undefined) await queued;
    try {
      // The breaker may have opened while this request waited for a slot.
      const report = breaker.admit();
      if (report === undefined) throw notAnswering();
      const { span, headers } = startSpan(parts.telemetry, scope, method, url);
      let ending: Ending = "none";
      try {
        Object.assign(prepared.headers, headers);
        const dispatcher = isConfigured ? parts.configured : parts.guarded;
        const received = await exchange(dispatcher, prepared, parts.downstreamBytes, scope);
        if (isChanging(method)) scope.sent?.answered(received.status);
        ending = unavailableStatuses.has(received.status) ? "failed" : "answered";
        span?.setAttribute("http.response.status_code", received.status);
        if (received.status >= 400) failSpan(span, String(received.status));
        return await readAnswer(received, parts.downstreamBytes, { secrets: prepared.secrets, hide: parts.hide });
      } catch (reason) {
        if (ending === "none") ending = endingOf(reason, scope);
        reportTlsProblem(reason, origin, parts.onTlsProblem);
        failSpan(span, reason instanceof DownstreamError ? reason.problem : "aborted");
        throw reason;
      } finally {
        report(ending);
        span?.end();
      }
    } finally {
      inFlight.leave();
    }
  };
}

/**
 * Sends one request and reads the response completely. Rejects with the reason of the signal as soon as it fires;
 * otherwise with a DownstreamError that records whether anything was sent, or with undici's error for invalid use.
 * Keeps at most `limit` bytes. A request past its deadline is not written.
 *
 * Implemented on `dispatch`, because only its `onRequestStart` reports when a request starts to be sent.
 */
function exchange(
  dispatcher: Dispatcher,
  { url, method, headers: sentHeaders, body }: PreparedRequest,
  limit: number,
  scope: SendScope & Run,
): Promise<WireAnswer> {
  const { signal } = scope;
  return new Promise((resolve, reject) => {
    let controller: Dispatcher.DispatchController | undefined;
    let ended = false;
    let status = 0;
    let headers: Record<string, string> = {};
    const parts: Buffer[] = [];
    let chunks: Buffer[] = [];
    let size = 0;

    const end = (): boolean => {
      if (ended) return false;
      ended = true;
      signal.removeEventListener("abort", abort);
      return true;
    };
    const abort = (): void => {
      if (!end()) return;
      controller?.abort(new Error("aborted"));
      reject(signal.reason);
    };
    const finish = (cut: boolean): void => {
      if (!end()) return;
      const all = [...parts, ...chunks];
      resolve({ status, headers, body: all.length === 1 ? all[0]! : Buffer.concat(all), cut });
    };

    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", abort, { once: true });

    const options: Dispatcher.DispatchOptions = {
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: sentHeaders,
      body: body ?? null,
    };
    dispatcher.dispatch(options, {
      onRequestStart(started) {
        // Aborted while it waited for a connection.
        if (ended) return started.abort(new Error("aborted"));
        if (!leaves(method, scope)) {
          if (end()) reject(lateError());
          return started.abort(new Error("late"));
        }
        controller = started;
      },
      onResponseStart(_controller, statusCode, received) {
        // Informational (1xx) responses precede the final one.
        if (statusCode < 200) return;
        status = statusCode;
        headers = joined(received);
      },
      onResponseData(active, chunk) {
        if (ended) return;
        chunks.push(chunk.subarray(0, limit - size));
        size += chunk.length;
        if (chunks.length === maxChunks) {
          parts.push(Buffer.concat(chunks));
          chunks = [];
        }
        if (size <= limit) return;
        if (status < 300) {
          if (end()) reject(tooLargeError(limit));
        } else {
          finish(true);
        }
        active.abort(new Error("answer too large"));
      },
      onResponseEnd() {
        finish(false);
      },
      onResponseError(_controller, error) {
        if (end()) reject(isMisuse(error) ? error : asDownstreamError(error, controller !== undefined));
      },
    });
  });
}

/** Reports whether a request may be sent now, and records it if so. */
function leaves(method: string, { deadline = Infinity, sendUntil = Infinity, sent }: Run): boolean {
  const changing = isChanging(method);
  if (performance.now() >= (changing ? Math.min(deadline, sendUntil) : deadline)) return false;
  if (changing) sent?.leaves();
  return true;
}

/** Reports whether requests of this method may change something. */
function isChanging(method: string): boolean {
  return method !== "GET" && method !== "HEAD";
}

/**
 * Starts the client span of one request, if requests are traced, and builds the headers that propagate the trace. The
 * span holds method, host and status, but never path or query, which contain arguments.
 */
function startSpan(
  telemetry: SenderParts["telemetry"],
  { trace: parent, attributes: ofWork }: SendScope,
  method: string,
  url: URL,
): { span: Span | undefined; headers: Record<string, string> } {
  if (!telemetry.tracing) {
    return { span: undefined, headers: parent === undefined ? {} : telemetry.inject(parent) };
  }
  const from = parent ?? activeContext.active();
  const attributes = {
    ...ofWork?.(),
    "http.request.method": method,
    "server.address": url.hostname,
    "server.port": Number(url.port) || (url.protocol === "https:" ? 443 : 80),
  };
  const span = telemetry.tracer.startSpan(method, { kind: SpanKind.CLIENT, attributes }, from);
  return { span, headers: telemetry.inject(trace.setSpan(from, span)) };
}

function failSpan(span: Span | undefined, errorType: string): void {
  span?.setAttribute("error.type", errorType);
  span?.setStatus({ code: SpanStatusCode.ERROR });
}

function endingOf(reason: unknown, { signal, deadline }: SendScope & Run): Ending {
  if (reason instanceof DownstreamError) {
    if (reason.problem === "network") return "failed";
    return reason.problem === "content" ? "answered" : "none";
  }
  if (!signal.aborted) return "none";
  const timedOut = deadline !== undefined && performance.now() >= deadline;
  return timedOut || (reason instanceof Error && reason.name === "TimeoutError") ? "failed" : "none";
}

/** Reports details of a failed connection to the operator; the model must not read them. */
export function reportTlsProblem(reason: unknown, origin: string, report: SenderParts["onTlsProblem"]): void {
  const problem = report && tlsProblem(reason, `outbound.tls or downstreams[${JSON.stringify(origin)}].tls`);
  if (problem !== undefined) report?.(origin, problem);
}

function notAnswering(): DownstreamError {
  return new DownstreamError("open", "External API is not answering at present.", { sent: false });
}

function asDownstreamError(error: Error, sent: boolean): Error {
  // The guard's error passes through the connector unchanged.
  return "problem" in error ? error : networkError(error, sent);
}

function isMisuse(error: Error): boolean {
  return "code" in error && (error.code === "UND_ERR_INVALID_ARG" || error.code === "UND_ERR_NOT_SUPPORTED");
}

function joined(received: Record<string, string | string[] | undefined>): Record<string, string> {
  const headers: Record<string, string> = Object.create(null);
  for (const name in received) {
    const value = received[name];
    if (value !== undefined) headers[name] = typeof value === "string" ? value : value.join(", ");
  }
  return headers;
}
