import type { Duration } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import type { CallContext } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../../auth/caller.ts";
import type { Scope } from "../../config/scope.ts";
import { rpcError } from "../../errors.ts";
import type { ExecutionRequest } from "../../executor/contract.ts";
import { contextAttributes } from "../../telemetry/attributes.ts";
import { kCall, RpcCall } from "../rpc-call.ts";

/** Returns the call that belongs to a handler context, on every path. */
export function rpcCall(context: HandlerContext): RpcCall {
  const call = context instanceof RpcCall ? context : context.values.get(kCall);
  if (call === undefined) throw new Error("the call has not passed the front");
  return call;
}

/** Returns the caller of a call, which must have the scope. Throws unauthenticated or permission_denied. */
export function callerWith(scope: Scope, context: HandlerContext): Caller {
  const call = rpcCall(context);
  const { caller } = call;
  if (caller === undefined) throw rpcError("unauthenticated");
  if (caller.scopes.has(scope)) return caller;
  call.missingScope = scope;
  throw rpcError("scope-missing", scope);
}

/** Throws invalid_argument for an id that is longer than 256 characters or is not well-formed Unicode. */
export function checkId(what: string, id: string): void {
  if (!id.isWellFormed()) throw rpcError("invalid-request", `${what} must be well-formed Unicode`);
  if (id.length <= 256) return;
  let characters = 0;
  for (const _ of id) if (++characters > 256) throw rpcError("id-too-long", what);
}

/** Throws invalid_argument if an id of the context is invalid. */
function checkContext(context: CallContext | undefined): void {
  if (context === undefined) return;
  checkId("context.conversation_id", context.conversationId);
  checkId("context.session_id", context.sessionId);
  checkId("context.run_id", context.runId);
  checkId("context.source", context.source);
}

/**
 * Returns the context with its effective source: the given one if the caller may delegate, otherwise the caller's name.
 */
export function contextOf(context: CallContext | undefined, caller: Caller): CallContext {
  checkContext(context);
  const source =
    context !== undefined && context.source !== "" && caller.scopes.has("calls:delegate")
      ? context.source
      : caller.name;
  if (context?.source === source) return context;
  const { conversationId = "", sessionId = "", runId = "" } = context ?? {};
  return { $typeName: "jackfield.v1.CallContext", conversationId, sessionId, runId, source };
}

/** Returns the executor's view of a request: caller, context, deadline and trace. */
export function executionRequest(
  request: { readonly context?: CallContext; readonly answerWithin?: Duration },
  call: RpcCall,
  caller: Caller,
): ExecutionRequest {
  const context = contextOf(request.context, caller);
  call.callContext = context;
  call.span?.setAttributes(contextAttributes(context, call.jobId));
  return {
    caller,
    context,
    jobId: call.jobId,
    answerWithinMs: answerWithinMs(request.answerWithin),
    cancellation: call.cancellable ? call : undefined,
    trace: call.trace,
  };
}

/**
 * Returns the number of entries of a page: 100 if unset, at most 1000. Throws invalid_argument for a negative number.
 */
export function pageSize(requested: number): number {
  if (requested < 0) throw rpcError("invalid-request", `page_size must not be negative, found ${requested}`);
  return requested === 0 ? 100 : Math.min(requested, 1000);
}

/** Returns a duration of at most 24 hours in milliseconds. Throws invalid_argument for negative and longer ones. */
function answerWithinMs(duration: Duration | undefined): number | undefined {
  if (duration === undefined) return undefined;
  const { seconds, nanos } = duration;
  if (seconds < 0n || nanos < 0 || nanos > 999_999_999 || seconds > 86_400n) {
    throw rpcError("invalid-request", "answer_within must be a duration from 0 to 24 hours");
  }
  return Number(seconds) * 1000 + nanos / 1_000_000;
}
