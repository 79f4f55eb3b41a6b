import {
  Code,
  ConnectError,
  createContextKey,
  type ContextKey,
  type HandlerContext,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
} from "@connectrpc/connect";
import { rpcError } from "../errors.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { kTrace } from "../telemetry/trace-key.ts";
import { kCaller } from "./call-values.ts";
import { faultFrom, inputFault } from "./rpc-errors.ts";
import { untilEnded } from "./invoke.ts";
import { observe, type Observed } from "./observe.ts";
import { isOpen } from "./services/services.ts";
import { timeoutFromHeader } from "./timeout.ts";

/** Key of why a call is refused before it starts, in its context values. */
export const kPreflightError: ContextKey<ConnectError | undefined> = createContextKey<ConnectError | undefined>(
  undefined,
  {
    description: "jackfield.refused",
  },
);

/**
 * Takes a deadline that means nothing out of the headers, and says why the call is to be refused. Connect would start a
 * timer with it, and an overlong one fires at once.
 */
export function stripInvalidTimeout(header: Headers): ConnectError | undefined {
  const kind = header.get("content-type")?.toLowerCase().startsWith("application/grpc") === true ? "grpc" : "connect";
  const name = kind === "grpc" ? "grpc-timeout" : "connect-timeout-ms";
  const value = header.get(name);
  if (value === null) return undefined;
  try {
    timeoutFromHeader(value, kind);
    return undefined;
  } catch (reason) {
    header.delete(name);
    return ConnectError.from(reason);
  }
}

/**
 * What stands before each call that Connect's own handlers serve: a caller without a key, or a deadline that means
 * nothing, is refused before the body is read. The unary lane and calls inside the process do the same by themselves.
 */
export function createRpcGuard(): (context: HandlerContext) => void {
  return (context) => {
    if (context.values.get(kCaller) === undefined && !isOpen(context.service)) throw rpcError("unauthenticated");
    const refused = context.values.get(kPreflightError);
    if (refused !== undefined) throw refused;
  };
}

/**
 * Watches the streams that Connect's own handlers serve: span and duration, the caller's deadline also where the
 * implementation does not listen, and errors that leak nothing.
 */
export function createInterceptor(telemetry: Telemetry): Interceptor {
  return (next) => async (request) => {
    const system = request.header.get("content-type")?.startsWith("application/grpc") === true ? "grpc" : "connect";
    const watched = observe(telemetry, request.method, system, request.contextValues.get(kTrace));
    request.contextValues.set(kTrace, watched.trace);
    const fail = (reason: unknown): ConnectError => {
      const fault = faultFrom(
        request.signal.aborted ? ended(request.signal) : reason,
        request.method.name,
        telemetry.log,
      );
      watched.end(fault);
      return fault;
    };
    try {
      if (!request.stream) {
        const answer = await next(request);
        watched.end(undefined);
        return answer;
      }
      const answer = await next({ ...request, message: readable(request) });
      return answer.stream ? { ...answer, message: answered(answer, request.signal, watched, fail) } : answer;
    } catch (reason) {
      throw fail(reason);
    }
  };
}

async function* readable(request: StreamRequest): StreamRequest["message"] & AsyncGenerator {
  try {
    yield* request.message;
  } catch (reason) {
    throw inputFault(reason);
  }
}

async function* answered(
  answer: StreamResponse,
  signal: AbortSignal,
  watched: Observed,
  fail: (reason: unknown) => ConnectError,
): StreamResponse["message"] & AsyncGenerator {
  let finished = false;
  try {
    yield* untilEnded(answer.message, signal);
    finished = true;
    watched.end(undefined);
  } catch (reason) {
    finished = true;
    throw fail(reason);
  } finally {
    if (!finished) watched.end(rpcError("canceled"));
  }
}

function ended({ reason }: AbortSignal): ConnectError {
  if (!(reason instanceof ConnectError)) return rpcError("canceled");
  if (reason.code === Code.DeadlineExceeded) return rpcError("deadline");
  return reason.code === Code.Aborted ? rpcError("canceled") : reason;
}
