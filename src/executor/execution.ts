import { hash, randomUUID } from "node:crypto";
import {
  type CallContext,
  Effect,
  type Progress,
  type ToolCall,
  type ToolResult,
} from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../auth/caller.ts";
import type { AbandonedCall, CallScope, Claim } from "../ledger/ledger.ts";
import type { JsonObject } from "../plugin/tool.ts";
import type { SentRequests } from "../outbound/sent-requests.ts";
import type { CompiledTool } from "../registry/registry.ts";
import type { TraceContext } from "../telemetry/telemetry.ts";
import type { ExecutionRequest } from "./contract.ts";

/** How a run of a tool's function ended. */
export type RunEnd =
  | { readonly kind: "returned"; readonly returned: unknown }
  | { readonly kind: "threw"; readonly reason: unknown }
  /** The execution deadline passed. `late`: how the function ends after all. */
  | { readonly kind: "timed-out"; readonly late: Promise<RunEnd> }
  /** The execution was cancelled. */
  | { readonly kind: "cancelled"; readonly late: Promise<RunEnd> };

/**
 * One call while it is carried out, from the request to the result. Each stage of the pipeline reads what the stages before
 * it have found out and adds its own part.
 */
export class Execution {
  readonly call: ToolCall;
  readonly request: ExecutionRequest;
  readonly scope: CallScope;
  readonly createdAt = performance.now();
  /** Id of the call; one of our own where the caller gave none. */
  callId: string;
  /** The span that the execution's requests belong to; set from outside. */
  trace: TraceContext | undefined;
  /** The trace that log and audit lines name; set from outside. */
  traceId: string | undefined;
  /** What a dead process left of this call, where that is continued. */
  abandoned: AbandonedCall | undefined;

  // Set by the stages, in this order.
  tool!: CompiledTool;
  /** The tool's effect, or the one that an abandoned call was begun with. */
  effect: CompiledTool["effect"] = Effect.WRITE;
  args!: JsonObject;
  /** Digest of the arguments before sanitising. */
  digest = "";
  /** Key in the ledger; undefined where the call is not deduplicated. */
  key: string | undefined;
  /** What `GetCall` finds the call by, also without a key. */
  lookup!: string;
  /** The running execution of the same call that this one waits for. */
  joined: Execution | undefined;
  /** Its tool's slots, while it has one of them. */
  slots: { release(ms: number | undefined): void } | undefined;
  /** Proof that the ledger's entry is ours. */
  claim: Claim | undefined;
  /** Proof that the repeat guard's entry is ours. */
  guardClaim: Claim | undefined;
  /** The answer to the same request under another call id. */
  repeated: ToolResult | undefined;
  /** When the tool's function was called, by `performance.now()`; undefined where it was not. */
  startedAt: number | undefined;
  /** What the run has sent; undefined where it has asked for nothing. */
  sent: SentRequests | undefined;
  /** How the tool's function ended. */
  end: RunEnd | undefined;
  /** What is found out about a `write` that did not end in a known way. */
  verdict: "unknown" | "not-done" | undefined;
  result: ToolResult | undefined;
  /** What the tool's `reconcile` threw. */
  reconcileError: { readonly reason: unknown } | undefined;
  /** Why our own part of the execution failed. */
  error: unknown;

  /** Whether the same call joins this execution. */
  isRegistered = false;
  /** The answer of the pipeline, once it is known that it comes later. */
  answer: Promise<ToolResult> | undefined;
  /** Callers that wait, or were told that the call goes on. The last one to leave a `read` cancels it. */
  waiters = 0;
  /** A caller was told that the call goes on: it is never cancelled, and its end is recorded. */
  outlived = false;
  /** The intent of a call that is recorded only because it outlived its answer deadline. */
  outlivedClaim: Promise<Claim | undefined> | undefined;
  cancelled = false;
  #idempotencyKey: string | undefined;
  #cancelListeners: (() => void)[] | undefined;
  #progressListeners: ((progress: Progress) => void)[] | undefined;

  constructor(call: ToolCall, request: ExecutionRequest, scope: CallScope, abandoned?: AbandonedCall) {
    this.call = call;
    this.callId = call.id;
    this.request = request;
    this.scope = scope;
    this.abandoned = abandoned;
    this.listen(request.onProgress);
  }

  /** Whether the ledger holds the call from before it runs: it has a key and changes something. */
  get isLedgered(): boolean {
    return this.key !== undefined && this.effect !== Effect.READ;
  }

  /** What tells a repeat from another call under the same id: arguments and tool. */
  get content(): string {
    return `${this.digest}:${this.call.name}`;
  }

  /** The same for every run of the same call, and of no other call. */
  get idempotencyKey(): string {
    if (this.#idempotencyKey === undefined) {
      // An id of our own making is unique, although nobody repeats it.
      const unique = this.key ?? (this.call.id === "" ? this.lookup : undefined);
      this.#idempotencyKey = unique === undefined ? randomUUID() : hash("sha256", unique, "base64url");
    }
    return this.#idempotencyKey;
  }

  /** Also reports progress to `listener`, where there is one. */
  listen(listener: ((progress: Progress) => void) | undefined): void {
    if (listener !== undefined) (this.#progressListeners ??= []).push(listener);
  }

  report(message: string, fraction: number): void {
    for (const listener of this.#progressListeners ?? []) {
      try {
        listener({ $typeName: "jackfield.v1.Progress", callId: this.callId, message, fraction });
      } catch {
        // A listener that throws must not fail the tool that reports.
      }
    }
  }

  /** Ends the execution: no caller waits for it any more. */
  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    for (const listener of this.#cancelListeners ?? []) listener();
  }

  /** Calls `listener` when the execution is cancelled from now on, also if what it is for has ended by then. */
  onCancel(listener: () => void): void {
    (this.#cancelListeners ??= []).push(listener);
  }
}

/** Where a call was made. Its source is the caller's name unless the context names another, which rpc has allowed. */
export function callScopeFrom(context: CallContext | undefined, caller: Caller): CallScope {
  return {
    tenant: caller.tenant,
    source: context?.source || caller.name,
    conversationId: context?.conversationId ?? "",
    sessionId: context?.sessionId ?? "",
    runId: context?.runId ?? "",
    ...(caller.uniqueCallIds === true && { uniqueCallIds: true }),
  };
}
