import type { Context } from "@opentelemetry/api";
import { Effect, type Progress, type ToolCall, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { rpcError } from "../errors.ts";
import {
  type AbandonedCall,
  type CallScope,
  type Claim,
  type Ledger,
  LedgerUnavailableError,
} from "../ledger/ledger.ts";
import type { Outbound } from "../outbound/http.ts";
import type { JsonObject } from "../plugin/tool.ts";
import type { CompiledTool } from "../registry/registry.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Admissions } from "./admit.ts";
import type { Claims, Execution } from "./claim.ts";
import { aboutCall, frameOf, toolLog } from "./log-fields.ts";
import type { Observation, Observe } from "./observe.ts";
import type { CallName } from "./outcome.ts";
import type { OutcomeStore } from "./outcome-store.ts";
import { intentOf, retentionOf, perform, type Performance, type Performed, type PerformParts } from "./perform.ts";
import type { RepeatGuard } from "./repeat-guard.ts";
import { ToolContext, type ScopeHost } from "./tool-context.ts";

/** What launching needs. */
export interface LaunchParts {
  readonly ledger: Ledger;
  readonly outbound: Outbound;
  readonly telemetry: Telemetry;
  readonly limits: { readonly outputBytes: number };
  readonly claims: Claims;
  readonly admissions: Admissions;
  readonly observe: Observe;
  readonly repeats: RepeatGuard;
  readonly outcomes: OutcomeStore;
}

/** A call that has passed the stages before its execution. */
export interface Claimed {
  readonly call: ToolCall;
  readonly callId: string;
  readonly tool: CompiledTool;
  readonly args: JsonObject;
  readonly digest: string;
  readonly scope: CallScope;
  readonly key: string | undefined;
  readonly lookup: string;
  readonly caller: string;
  readonly trace: Context | undefined;
  readonly listener: ((progress: Progress) => void) | undefined;
  readonly takenOver?: AbandonedCall;
}

/** Starts executions, which then live on their own: those who asked may go. */
export interface Launched {
  start(claimed: Claimed): Execution;
}

/** Creates the launcher; `onEnd` is called when an execution has ended. */
export function launch(parts: LaunchParts, onEnd: () => void): Launched {
  const { telemetry } = parts;
  const shared: Shared = {
    ...parts,
    onEnd,
    performParts: {
      ledger: parts.ledger,
      admissions: parts.admissions,
      repeats: parts.repeats,
      outputBytes: parts.limits.outputBytes,
      onThrow(work, reason) {
        // Only what the failure is: its words may repeat arguments or answers, which belong in no log.
        const error = reason instanceof Error ? { name: reason.name, at: frameOf(reason) } : { name: typeof reason };
        telemetry.log.warn({ ...aboutCall(work), error }, "tool failed");
      },
    },
    scopeHost: {
      outbound: parts.outbound,
      logFor: (work) => toolLog(telemetry.log.child(aboutCall(work))),
    },
  };
  return {
    start(claimed) {
      const execution = new LiveExecution(claimed, shared);
      execution.start();
      return execution;
    },
  };
}

/** What all executions of one launcher share. */
interface Shared extends LaunchParts {
  readonly performParts: PerformParts;
  readonly scopeHost: ScopeHost;
  onEnd(): void;
}

/** One execution from its claim to its end. A tool that answers at once has its result when `start` returns. */
class LiveExecution implements Execution, Performance {
  readonly name: CallName;
  readonly callId: string;
  readonly tool: CompiledTool;
  readonly args: JsonObject;
  readonly digest: string;
  readonly scope: CallScope;
  readonly key: string | undefined;
  readonly lookup: string;
  readonly takenOver: AbandonedCall | undefined;
  readonly read: boolean;
  readonly uniqueKey: string | undefined;
  readonly toolContext: ToolContext;
  waiters = 0;
  outlived = false;
  result: ToolResult | undefined;
  readonly #shared: Shared;
  readonly #observation: Observation;
  #listeners: ((progress: Progress) => void)[] | undefined;
  #recorded: Promise<Claim | undefined> | undefined;
  #ended: PromiseWithResolvers<ToolResult> | undefined;
  #fault: Error | undefined;

  constructor(claimed: Claimed, shared: Shared) {
    const { call } = claimed;
    this.name = { callId: call.id, name: call.name };
    this.callId = claimed.callId;
    this.tool = claimed.tool;
    this.args = claimed.args;
    this.digest = claimed.digest;
    this.scope = claimed.scope;
    this.key = claimed.key;
    this.lookup = claimed.lookup;
    this.takenOver = claimed.takenOver;
    this.read = claimed.tool.effect === Effect.READ;
    // An id of our own making is unique, although nobody repeats it.
    this.uniqueKey = claimed.key ?? (call.id === "" ? claimed.lookup : undefined);
    this.#shared = shared;
    this.#observation = shared.observe(call.name, claimed.callId, claimed.scope, claimed.caller, claimed.trace);
    this.toolContext = new ToolContext(this, shared.scopeHost);
    if (claimed.listener !== undefined) this.listen(claimed.listener);
  }

  get trace(): Context | undefined {
    return this.#observation.trace;
  }

  get traceId(): string {
    return this.#observation.traceId;
  }

  get cancelled(): boolean {
    return this.toolContext.cancelled;
  }

  /** Resolves with the result; rejects where the call could not be executed. Made when somebody waits. */
  get ended(): Promise<ToolResult> {
    if (this.#ended === undefined) {
      this.#ended = Promise.withResolvers();
      // Nobody may be waiting any more when it fails: then the fault is in the log and no rejection is left over.
      this.#ended.promise.catch(() => {});
      if (this.result !== undefined) this.#ended.resolve(this.result);
      else if (this.#fault !== undefined) this.#ended.reject(this.#fault);
    }
    return this.#ended.promise;
  }

  listen(listener: (progress: Progress) => void): void {
    (this.#listeners ??= []).push(listener);
  }

  report(message: string, fraction: number): void {
    for (const listen of this.#listeners ?? [])
      tell(listen, { $typeName: "jackfield.v1.Progress", callId: this.callId, message, fraction });
  }

  cancel(): void {
    this.toolContext.cancel();
  }

  outlive(): void {
    this.outlived = true;
    // A keyed call that changes something is in the ledger already.
    if (this.key === undefined || this.read) this.#recorded ??= this.#recordIntent();
  }

  start(): void {
    try {
      const performing = perform(this, this.#shared.performParts);
      if (!(performing instanceof Promise)) return this.#settle(performing);
      this.#shared.claims.start(this);
      performing.then((performed) => this.#record(performed)).catch((cause: unknown) => this.#fail(cause));
    } catch (cause) {
      this.#fail(cause);
    }
  }

  /** Makes the outcome durable before anybody has the answer. */
  async #record(performed: Performed): Promise<void> {
    const claim = performed.claim ?? (await this.#recorded);
    let { result } = performed;
    if (claim !== undefined) {
      const keep = retentionOf(result, this.tool.effect, this.outlived);
      result = await this.#shared.outcomes.store(claim, result, keep);
    }
    this.#shared.claims.end(this);
    this.#settle({ ...performed, result });
  }

  #settle({ result, ran }: Performed): void {
    const { claims, onEnd } = this.#shared;
    const { tool, digest, key, scope } = this;
    result.duration ??= durationFromMs(this.#observation.elapsedMs);
    this.#observation.ended(result, ran, digest);
    const keep = retentionOf(result, tool.effect, this.outlived);
    const inMemory = keep !== "drop" && (this.name.callId !== "" || this.outlived) && (this.read || key === undefined);
    const replay = keep === "replay" && key !== undefined;
    this.result = result;
    claims.keep(this.lookup, inMemory ? { toolName: tool.name, digest, result, replay, scope } : undefined);
    this.#ended?.resolve(result);
    onEnd();
  }

  #fail(cause: unknown): void {
    const { claims, telemetry, onEnd } = this.#shared;
    claims.end(this);
    claims.keep(this.lookup, undefined);
    this.#observation.failed();
    telemetry.log.error({ err: cause, tool: this.tool.name }, "a call could not be executed");
    this.#fault = rpcError(cause instanceof LedgerUnavailableError ? "store-unavailable" : "internal", "", cause);
    this.#ended?.reject(this.#fault);
    onEnd();
  }

  /** Stores the intent of an execution that has none, and tells whether its end is ours to record. */
  #recordIntent(): Promise<Claim | undefined> {
    const { ledger, telemetry } = this.#shared;
    return ledger.begin(intentOf(this, this.lookup)).then(
      (begun) => ("claim" in begun ? begun.claim : undefined),
      (cause: unknown) => {
        telemetry.log.warn({ err: cause }, "a call that outlived its answer deadline could not be recorded");
        return undefined;
      },
    );
  }
}

/** A listener that fails is no fault of the tool that reports to it. */
function tell(listen: (progress: Progress) => void, progress: Progress): void {
  try {
    listen(progress);
  } catch {
    // It has nobody to tell: its caller has gone.
  }
}

function durationFromMs(ms: number): NonNullable<ToolResult["duration"]> {
  const seconds = Math.floor(ms / 1000);
  return {
    $typeName: "google.protobuf.Duration",
    seconds: seconds === 0 ? 0n : BigInt(seconds),
    nanos: Math.floor((ms - seconds * 1000) * 1e6),
  };
}
