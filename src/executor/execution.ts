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
  /** The execution deadline passed. `late` resolves when the function ends after all. */
  | { readonly kind: "timed-out"; readonly late: Promise<RunEnd> }
  /** The execution was cancelled. */
  | { readonly kind: "cancelled"; readonly late: Promise<RunEnd> };

/**
 * One call on its way from the request to the result. Each stage of the pipeline reads the results of the stages before
 * it and adds its own.
 */
export class Execution {
  readonly call: ToolCall;
  readonly request: ExecutionRequest;
  readonly scope: CallScope;
  readonly createdAt = performance.now();
  /** Id of the call; a generated one if the caller gave none. */
  callId: string;
  /** Parent span of the execution's requests. Set by the observation. */
  trace: TraceContext | undefined;
  /** Trace id for log and audit lines. Set by the observation. */
  traceId: string | undefined;
  /** The record that a dead process left of this call, if it is being continued. */
  abandoned: AbandonedCall | undefined;

  // Set by the stages, in this order.
  tool!: CompiledTool;
  /** The tool's effect, or the one with which an abandoned call began. */
  effect: CompiledTool["effect"] = Effect.WRITE;
  args!: JsonObject;
  /** Digest of the arguments before they are sanitised. */
  digest = "";
  /** Length of the arguments as JSON text, in characters. */
  argumentsLength = 0;
  /** Key in the ledger; undefined if the call is not deduplicated. */
  key: string | undefined;
  /** Key by which `GetCall` finds the call. Always set. */
  lookup!: string;
  /** Whether this process has answered a different `read` under this key: CONFLICT, unless the ledger knows the call. */
  isKeyTaken = false;
  /** The running execution of the same call that this one waits for. */
  joined: Execution | undefined;
  /** The tool's slots, while the execution occupies one. */
  slots: { release(ms: number | undefined): void } | undefined;
  /** Proof that the ledger entry is ours. */
  claim: Claim | undefined;
  /** Proof that the repeat guard's entry is ours. */
  guardClaim: Claim | undefined;
  /** The answer to the same request under another call id. */
  repeated: ToolResult | undefined;
  /** Time at which the tool's function was called, a `performance.now()` value; undefined if it was not. */
  startedAt: number | undefined;
  /** Time at which the answer was known and, if it has to be, stored, a `performance.now()` value. */
  endedAt: number | undefined;
  /** The requests of the run; undefined if it has sent none. */
  sent: SentRequests | undefined;
  /** How the tool's function ended. */
  end: RunEnd | undefined;
  /** The result of reconciling a `write` that did not end in a known way. */
  verdict: "unknown" | "not-done" | undefined;
  result: ToolResult | undefined;
  /** The error that the tool's `reconcile` threw. */
  reconcileError: { readonly reason: unknown } | undefined;
  /** The reason why our own part of the execution failed. */
  error: unknown;

  /** Whether the same call joins this execution. */
  isRegistered = false;
  /** The pipeline's answer, once it is known to be asynchronous. */
  answer: Promise<ToolResult> | undefined;
  /** Callers that wait, or were told that the call goes on. The last one to leave a `read` cancels it. */
  waiters = 0;
  /** Whether a caller was told that the work continues. Then it is never cancelled, and its end is recorded. */
  outlived = false;
  /** The claim of a call that is recorded only because it outlived its answer deadline. */
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

  /** Whether the ledger has held the call since before it ran: it has a key and changes something. */
  get isLedgered(): boolean {
    return this.key !== undefined && this.effect !== Effect.READ;
  }

  /** Distinguishes a repeat from a different call under the same id: arguments and tool. */
  get content(): string {
    return `${this.digest}:${this.call.name}`;
  }

  /** The same for every run of the same call, and different for every other call. */
  get idempotencyKey(): string {
    if (this.#idempotencyKey === undefined) {
      // A generated id is unique, although nobody repeats it.
      const unique = this.key ?? (this.call.id === "" ? this.lookup : undefined);
      this.#idempotencyKey = unique === undefined ? randomUUID() : hash("sha256", unique, "base64url");
    }
    return this.#idempotencyKey;
  }

  /** Also reports progress to `listener`, if given. */
  listen(listener: ((progress: Progress) => void) | undefined): void {
    if (listener !== undefined) (this.#progressListeners ??= []).push(listener);
  }

  report(message: string, fraction: number): void {
    for (const listener of this.#progressListeners ?? []) {
      try {
        listener({ $typeName: "jackfield.v1.Progress", callId: this.callId, message, fraction });
      } catch {
        // A listener that throws must not fail the tool that reports progress.
      }
    }
  }

  /** Ends the execution, because no caller waits for it any more. */
  cancel(): void {
    if (this.cancelled) return;
    this.cancelled = true;
    for (const listener of this.#cancelListeners ?? []) listener();
  }

  /**
   * Calls `listener` when the execution is cancelled, even if the listener's own work has ended by then. Not called if
   * it has already been cancelled.
   */
  onCancel(listener: () => void): void {
    (this.#cancelListeners ??= []).push(listener);
  }
}

/**
 * Returns the scope of a call. Its source is the caller's name unless the context names another one, which the RPC
 * layer has authorised.
 */
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
