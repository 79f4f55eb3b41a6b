import type { Duration } from "@bufbuild/protobuf/wkt";
import type { HandlerContext } from "@connectrpc/connect";
import type { CallContext } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../../auth/caller.ts";
import type { Scope } from "../../config/scope.ts";
import { rpcError } from "../../errors.ts";
import type { ExecutionRequest } from "../../executor/contract.ts";
import { contextAttributes } from "../../telemetry/attributes.ts";
import { kCall, RpcCall } from "../rpc-call.ts";

/** The call behind a handler context, whichever way it came in. */
export function rpcCall(context: HandlerContext): RpcCall {
  const call = context instanceof RpcCall ? context : context.values.get(kCall);
  if (call === undefined) throw new Error("the call has not passed the front");
  return call;
}

/** The caller of a call, which must have the scope. Throws unauthenticated or permission_denied. */
export function callerWith(scope: Scope, context: HandlerContext): Caller {
  const { caller } = rpcCall(context);
  if (caller === undefined) throw rpcError("unauthenticated");
  if (!caller.scopes.has(scope)) throw rpcError("scope-missing", scope);
  return caller;
}

/** Throws invalid_argument for an id longer than 256 characters, or one that is no well-formed Unicode. */
export function checkId(what: string, id: string): void {
  if (!id.isWellFormed()) throw rpcError("invalid-request", `${what} must be well-formed Unicode`);
  if (id.length <= 256) return;
  let characters = 0;
  for (const _ of id) if (++characters > 256) throw rpcError("id-too-long", what);
}

/** Throws invalid_argument where an id of the context is too long. */
function checkContext(context: CallContext | undefined): void {
  if (context === undefined) return;
  checkId("context.conversation_id", context.conversationId);
  checkId("context.session_id", context.sessionId);
  checkId("context.run_id", context.runId);
  checkId("context.source", context.source);
}

/** The context with the source that counts: the message's own for a caller that may delegate, else the caller's name. */
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

/** What the executor has to know of a request: who asks, in which context, until when, and under which trace. */
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

/** How many entries a page has: 100 where none are asked for, at most 1000. Throws invalid_argument for negative ones. */
export function pageSize(asked: number): number {
  if (asked < 0) throw rpcError("invalid-request", `page_size must not be negative, found ${asked}`);
  return asked === 0 ? 100 : Math.min(asked, 1000);
}

/** A duration of at most 24 hours in milliseconds. Throws invalid_argument for negative and longer ones. */
function answerWithinMs(duration: Duration | undefined): number | undefined {
  if (duration === undefined) return undefined;
  const { seconds, nanos } = duration;
  if (seconds < 0n || nanos < 0 || nanos > 999_999_999 || seconds > 86_400n) {
    throw rpcError("invalid-request", "answer_within must be a duration from 0 to 24 hours");
  }
  return Number(seconds) * 1000 + nanos / 1_000_000;
}
