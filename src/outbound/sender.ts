import type { Dispatcher } from "undici";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { AddressGuard } from "./address-guard.ts";
import { answerFrom } from "./answer.ts";
import type { Ending } from "./breaker.ts";
import { startClientSpan } from "./client-span.ts";
import { decode } from "./decode.ts";
import { DownstreamError } from "./downstream-error.ts";
import { exchange, type WireAnswer } from "./exchange.ts";
import type { Answer, HttpScope, SendScope } from "./http.ts";
import type { OriginState } from "./origins.ts";
import type { PreparedRequest } from "./prepare.ts";
import { isChanging } from "./sent-requests.ts";

/** What sending one request takes. */
export interface SenderParts {
  readonly guard: AddressGuard;
  /** Connects through the guard. */
  readonly guarded: Dispatcher;
  /** Connects to origins that the operator configured. */
  readonly configured: Dispatcher;
  readonly downstreamBytes: number;
  readonly telemetry: Pick<Telemetry, "tracer" | "tracing" | "inject">;
  readonly stateOf: (origin: string) => OriginState;
}

/** The run that a request belongs to, where it belongs to one. */
type Run = Partial<Pick<HttpScope, "deadline" | "sendUntil" | "sent">>;

/** What the statuses of a proxy without a live server behind it are: the origin does not answer. */
const gone: ReadonlySet<number> = new Set([502, 503, 504]);

/** Sends prepared requests, each once: past the guard, in line for a place, past the breaker, in a span of its own. */
export function createSender(parts: SenderParts) {
  return async (prepared: PreparedRequest, scope: SendScope & Run): Promise<Answer> => {
    const { url, method } = prepared;
    const { origin } = url;
    parts.guard.check(url, scope.configuredOrigins);
    const { breaker, inFlight } = parts.stateOf(origin);
    if (breaker.blocked) throw notAnswering();
    const leave = await inFlight.enter(scope.signal);
    try {
      // It may have opened while this request waited in line.
      const report = breaker.admit();
      if (report === undefined) throw notAnswering();
      const span = startClientSpan(parts.telemetry, scope.trace, method, url);
      let ending: Ending = "none";
      try {
        const wire = {
          origin,
          path: url.pathname + url.search,
          method,
          headers: Object.assign(prepared.headers, span.headers),
          body: prepared.body,
        };
        const dispatcher = scope.configuredOrigins.has(origin) ? parts.configured : parts.guarded;
        const received = await exchange(dispatcher, wire, parts.downstreamBytes, scope.signal, () =>
          leaves(method, scope),
        );
        scope.sent?.answered(method, received.status);
        ending = gone.has(received.status) ? "failed" : "answered";
        span.answered(received.status);
        return await readAnswer(received, parts.downstreamBytes, prepared.secrets);
      } catch (reason) {
        if (ending === "none") ending = endingOf(reason, scope);
        span.failed(reason instanceof DownstreamError ? reason.fault : "aborted");
        throw reason;
      } finally {
        report(ending);
        span.end();
      }
    } finally {
      leave();
    }
  };
}

/** Whether a request may leave now; notes it where it does. */
function leaves(method: string, { deadline = Infinity, sendUntil = Infinity, sent }: Run): boolean {
  const until = isChanging(method) ? Math.min(deadline, sendUntil) : deadline;
  if (performance.now() >= until) return false;
  sent?.leaves(method);
  return true;
}

async function readAnswer(received: WireAnswer, limit: number, secrets: readonly string[]): Promise<Answer> {
  const { status, headers, cut } = received;
  const ok = status >= 200 && status < 300;
  try {
    const body = cut && headers["content-encoding"] ? Buffer.alloc(0) : received.body;
    return answerFrom(status, headers, await decode(body, headers["content-encoding"], limit), secrets);
  } catch (reason) {
    if (ok) throw reason;
    // The status says more than what is wrong with its body.
    return answerFrom(status, headers, Buffer.alloc(0), secrets);
  }
}

function endingOf(reason: unknown, { signal, deadline }: SendScope & Run): Ending {
  if (reason instanceof DownstreamError) {
    if (reason.fault === "network") return "failed";
    return reason.fault === "content" ? "answered" : "none";
  }
  if (!signal.aborted) return "none";
  const timedOut = deadline !== undefined && performance.now() >= deadline;
  return timedOut || (reason instanceof Error && reason.name === "TimeoutError") ? "failed" : "none";
}

function notAnswering(): DownstreamError {
  return new DownstreamError("open", "External API is not answering at present.", { sent: false });
}
