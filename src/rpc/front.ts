import { Code, type ConnectError } from "@connectrpc/connect";
import { Health } from "../../gen/health/v1/health_pb.ts";
import type { Authenticator } from "../auth/authenticator.ts";
import type { Caller } from "../auth/caller.ts";
import { createRateLimiter } from "../auth/rate-limiter.ts";
import { rpcError } from "../errors.ts";
import type { AccessRefusals } from "../telemetry/access-refusals.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { maxTimeoutMs, timeoutFromHeader } from "./deadline.ts";
import { methodName, startObservation } from "./observe.ts";
import { inProcess, RpcCall, type RpcCallInit } from "./rpc-call.ts";
import { errorFrom } from "./rpc-errors.ts";

/** What the front is built from. */
export interface FrontParts {
  readonly telemetry: Telemetry;
  readonly authenticate: Authenticator;
  readonly refusals: AccessRefusals;
}

/**
 * What every RPC passes, whether it comes by the fast path, through Connect's own handlers or from inside the process:
 * `begin` observes it, `admit` runs the steps below, and then the message is read and the method invoked, both until the
 * call is cancelled; `end` maps the error, ends the observation and records refusals.
 */
export interface Front {
  /** Starts the observation of a call. */
  begin(init: RpcCallInit): RpcCall;
  /** Finds the caller of an Authorization header. */
  readonly authenticate: Authenticator;
  /** Finds the caller by its key or token. A promise where that takes time: await it before `admit`. */
  identify(call: RpcCall): Promise<void> | undefined;
  /** Runs the steps that come before the message is read. Throws a ConnectError. */
  admit(call: RpcCall): void;
  /** Ends the call, once. Returns the error to answer, mapped from whatever was thrown; undefined without a failure. */
  end(call: RpcCall, failure?: { readonly reason: unknown }): ConnectError | undefined;
}

type Step = (call: RpcCall) => void;

/** Creates the front: one for all ways in, so that a caller's requests count over all of them. */
export function createFront({ telemetry, authenticate, refusals }: FrontParts): Front {
  const steps: readonly Step[] = [requireCaller, limitRate(), checkEncoding, startDeadline];
  return {
    authenticate,
    begin(init) {
      const call = new RpcCall(init);
      const system = call.protocolName === inProcess ? undefined : call.protocolName;
      call.observation = startObservation(telemetry, { method: call.method, system, parent: call.trace });
      call.trace = call.observation.trace;
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
      call.release();
      const { observation, method, caller } = call;
      call.observation = undefined;
      if (failure === undefined) {
        observation?.end(undefined);
        return undefined;
      }
      const error = errorFrom(call.cancelled ?? failure.reason, method.name, telemetry.log);
      observation?.end(error);
      if (error.code === Code.Unauthenticated || error.code === Code.PermissionDenied) {
        const code = error.code === Code.Unauthenticated ? "unauthenticated" : "permission_denied";
        refusals.record({ code, target: methodName(method), caller, reason: error.rawMessage });
      }
      return error;
    },
  };
}

async function identifyLater(call: RpcCall, caller: Promise<Caller | undefined>): Promise<void> {
  call.caller = await caller;
}

/** Refuses a call whose caller is not known. Health answers everybody. */
function requireCaller({ caller, service }: RpcCall): void {
  if (caller === undefined && service.typeName !== Health.typeName) throw rpcError("unauthenticated");
}

/** Refuses a caller that sends more than its `rateLimit`. */
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

/** Refuses a message in an encoding that we do not know. */
function checkEncoding({ encodingError }: RpcCall): void {
  if (encodingError !== undefined) throw encodingError;
}

/** Starts the caller's own deadline. One that cannot be read is refused. */
function startDeadline(call: RpcCall): void {
  const { timeout, protocolName } = call;
  if (timeout === undefined) return;
  call.startDeadline(
    typeof timeout === "number"
      ? Math.min(timeout, maxTimeoutMs)
      : timeoutFromHeader(timeout, protocolName === "connect" ? "connect" : "grpc"),
  );
}
