import type { DescMethod } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { Health } from "../../gen/health/v1/health_pb.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import type { Caller } from "../auth/caller.ts";
import type { Challenges } from "../auth/challenge.ts";
import { createRateLimiter } from "../auth/rate-limiter.ts";
import { rpcError } from "../errors.ts";
import type { AccessRefusals } from "../telemetry/access-refusals.ts";
import { attributes } from "../telemetry/attributes.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { maxTimeoutMs, timeoutFromHeader } from "./deadline.ts";
import { inProcess, type RpcCall } from "./rpc-call.ts";
import { errorFrom } from "./rpc-errors.ts";

/** Dependencies of the front. */
export interface FrontParts {
  readonly telemetry: Telemetry;
  readonly authenticate: Authenticator;
  readonly refusals: AccessRefusals;
  readonly challenges: Challenges;
}

/**
 * The steps that every RPC passes, on the fast path, through Connect's handlers or inside the process: `begin` starts
 * its observation; `admit` runs the steps below; then the message is read and the method invoked, both until the call
 * is cancelled; `end` maps the error, ends the observation and records refusals.
 */
export interface Front {
  /** Starts the observation of a call, and returns the call. */
  begin(call: RpcCall): RpcCall;
  /** Finds the caller of an Authorization header. */
  readonly authenticate: Authenticator;
  /** Finds the caller by its key or token. If that takes time, returns a promise: await it before `admit`. */
  identify(call: RpcCall): Promise<void> | undefined;
  /** Runs the steps before the message is read. Throws a ConnectError. */
  admit(call: RpcCall): void;
  /**
   * Ends the call, once. Returns the error to answer with, mapped from the thrown value; undefined if there was no
   * failure.
   */
  end(call: RpcCall, failure?: { readonly reason: unknown }): ConnectError | undefined;
}

type Step = (call: RpcCall) => void;

/** Creates the front. All entry points share one, so that it counts all requests of a caller. */
export function createFront({ telemetry, authenticate, refusals, challenges }: FrontParts): Front {
  const steps: readonly Step[] = [requireCaller, limitRate(), checkEncoding, startDeadline];
  return {
    authenticate,
    begin(call) {
      if (telemetry.tracing && call.protocolName !== inProcess) startSpan(telemetry, call);
      return call;
    },
    identify(call) {
      if (call.caller !== undefined) return undefined;
      const caller = authenticate(call.authorization);
      if (!(caller instanceof Promise)) {
        call.caller = caller;
        return undefined;
      }
      return identifyLater(call, caller);
    },
    admit(call) {
      for (const step of steps) step(call);
    },
    end(call, failure) {
      const error = failure && errorFrom(call.cancelled ?? failure.reason, call, telemetry.log);
      recordEnd(telemetry, call, error);
      call.release();
      if (error !== undefined && call.protocolName !== inProcess) setChallenge(error, call, challenges);
      if (error?.code === Code.Unauthenticated || error?.code === Code.PermissionDenied) {
        const code = error.code === Code.Unauthenticated ? "unauthenticated" : "permission_denied";
        refusals.record({ code, target: methodName(call.method), caller: call.caller, reason: error.rawMessage });
      }
      return error;
    },
  };
}

/** Tells a caller that is refused how to authenticate: `WWW-Authenticate`, or metadata of that name in gRPC. */
function setChallenge({ code, metadata }: ConnectError, call: RpcCall, challenges: Challenges): void {
  const { authorization, missingScope } = call;
  if (code === Code.Unauthenticated) {
    metadata.set("www-authenticate", authorization === undefined ? challenges.missing : challenges.invalid);
  } else if (code === Code.PermissionDenied && missingScope !== undefined) {
    metadata.set("www-authenticate", challenges.insufficient(missingScope));
  }
}

async function identifyLater(call: RpcCall, caller: Promise<Caller | undefined>): Promise<void> {
  call.caller = await caller;
}

/** Refuses a call without a known caller. Health is open to everybody. */
function requireCaller({ caller, service }: RpcCall): void {
  if (caller === undefined && service.typeName !== Health.typeName) throw rpcError("unauthenticated");
}

/** Refuses a caller that exceeds its `rateLimit`. */
function limitRate(): Step {
  const limiter = createRateLimiter();
  return ({ caller }) => {
    if (caller?.rateLimit === undefined) return;
    const waitMs = limiter.take(caller);
    if (waitMs === 0) return;
    const seconds = String(Math.ceil(waitMs / 1000));
    const error = rpcError("rate-exceeded", seconds);
    error.metadata.set("retry-after", seconds);
    throw error;
  };
}

/** Refuses a message in an unknown encoding. */
function checkEncoding({ encodingError }: RpcCall): void {
  if (encodingError !== undefined) throw encodingError;
}

/** Starts the caller's own deadline. Refuses an unreadable one. */
function startDeadline(call: RpcCall): void {
  const { timeout, protocolName } = call;
  if (timeout === undefined) return;
  call.startDeadline(
    typeof timeout === "number"
      ? Math.min(timeout, maxTimeoutMs)
      : timeoutFromHeader(timeout, protocolName === "connect" ? "connect" : "grpc"),
  );
}

/** Starts the server span of a call from outside. A call inside the process has none. */
function startSpan(telemetry: Telemetry, call: RpcCall): void {
  const name = methodName(call.method);
  const { context, span } = telemetry.begin(name, call.trace, () => ({
    kind: SpanKind.SERVER,
    attributes: {
      [attributes.rpcSystem]: systemNames.get(call.protocolName) ?? call.protocolName,
      [attributes.rpcMethod]: name,
    },
  }));
  call.trace = context;
  call.span = span;
}

/** Records the end of a call, once: `rpc.server.call.duration`, and the status of its span. */
function recordEnd({ metrics }: Telemetry, call: RpcCall, error: ConnectError | undefined): void {
  const { startedAt, span } = call;
  if (startedAt === undefined) return;
  call.startedAt = undefined;
  const code = error === undefined ? "ok" : codeToString(error.code);
  metrics.rpcServed(methodName(call.method), code, (performance.now() - startedAt) / 1000);
  if (span === undefined) return;
  span.setAttribute(attributes.rpcStatus, code);
  if (error !== undefined && serverErrors.has(error.code)) span.setStatus({ code: SpanStatusCode.ERROR });
  span.end();
}

/** Returns the name of a method for spans, metrics and audit lines. */
function methodName({ parent, name }: DescMethod): string {
  return `${parent.typeName}/${name}`;
}

const systemNames: ReadonlyMap<string, string> = new Map([
  ["connect", "connectrpc"],
  ["grpc", "grpc"],
  ["grpc-web", "grpc"],
]);

/** Codes that are the server's fault according to the RPC conventions of OpenTelemetry. */
const serverErrors: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);
