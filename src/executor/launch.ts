import type { Context } from "@opentelemetry/api";
import { Effect, type Progress, type ToolCall, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { rpcError } from "../errors.ts";
import { type CallPlace, type Ledger, type LedgerEntry, LedgerUnavailable } from "../ledger/ledger.ts";
import type { Outbound } from "../outbound/http.ts";
import type { JsonObject, ToolLog } from "../plugin/tool.ts";
import type { CompiledTool } from "../registry/registry.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Admissions } from "./admit.ts";
import type { Claims, Execution } from "./claim.ts";
import type { Observe } from "./observe.ts";
import { intentOf, keepOf, perform, type Performance, type Performed } from "./perform.ts";
import type { RepeatGuard } from "./repeat-guard.ts";
import { ExecutionScope, type ScopeParts } from "./scope.ts";

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
}

/** A call that has passed the stages before its execution. */
export interface Claimed {
  readonly call: ToolCall;
  readonly callId: string;
  readonly tool: CompiledTool;
  readonly args: JsonObject;
  readonly digest: string;
  readonly place: CallPlace;
  readonly key: string | undefined;
  readonly lookup: string;
  readonly caller: string;
  readonly trace: Context | undefined;
  readonly listener: ((progress: Progress) => void) | undefined;
  readonly takenOver?: LedgerEntry;
}

/** Starts executions, which then live on their own: those who asked may go. */
export interface Launched {
  start(claimed: Claimed): Execution;
}

/** Creates the launcher; `onEnd` is called when an execution has ended. */
export function launch(parts: LaunchParts, onEnd: () => void): Launched {
  const { ledger, claims, telemetry } = parts;

  const logFor = ({ tool, callId, place, traceId }: ScopeParts): ToolLog =>
    toolLog(telemetry.log.child(about(tool, callId, place, traceId)));

  const performParts = {
    ledger,
    admissions: parts.admissions,
    repeats: parts.repeats,
    outputBytes: parts.limits.outputBytes,
    onThrow({ tool, callId, place, traceId }: Performance, reason: unknown) {
      // Only what the failure is: its words may repeat arguments or answers, which belong in no log.
      const error = reason instanceof Error ? { name: reason.name, at: frameOf(reason) } : { name: typeof reason };
      telemetry.log.warn({ ...about(tool, callId, place, traceId), error }, "tool failed");
    },
  };

  /** Stores the intent of an execution that has none, and tells whether its end is ours to record. */
  const record = (work: Performance, lookup: string): Promise<boolean> =>
    ledger.begin(intentOf(work, lookup)).then(
      (begun) => begun.state === "new" || begun.state === "abandoned",
      (cause: unknown) => {
        telemetry.log.warn({ err: cause }, "a call that outlived its answer deadline could not be recorded");
        return false;
      },
    );

  async function finish(work: Performance, execution: Execution, result: ToolResult): Promise<void> {
    const keep = keepOf(result, work.tool.effect, execution.outlived);
    // DANGER: an answer must not leave before the outcome is durable. Where the store fails now, the effect has already
    // happened: the answer is still true, and a repeat finds the intent and is told so honestly.
    await ledger.finish(work.key ?? execution.lookup, result, keep).catch((cause: unknown) => {
      telemetry.log.error({ err: cause, tool: work.tool.name }, "the outcome of a call could not be stored");
    });
  }

  return {
    start(claimed) {
      const { call, callId, tool, place, key, digest } = claimed;
      const observation = parts.observe(call, callId, place, claimed.caller, claimed.trace);
      const startedAt = performance.now();
      const listeners = claimed.listener === undefined ? [] : [claimed.listener];
      const scope = new ExecutionScope({
        tool,
        callId,
        place,
        outbound: parts.outbound,
        logFor,
        // An id of our own making is unique, although nobody repeats it.
        uniqueKey: key ?? (call.id === "" ? claimed.lookup : undefined),
        trace: observation.trace,
        traceId: observation.traceId,
        report: (message, fraction) => {
          for (const listen of listeners)
            tell(listen, { $typeName: "jackfield.v1.Progress", callId, message, fraction });
        },
      });
      const { promise, resolve, reject } = Promise.withResolvers<ToolResult>();
      let recorded: Promise<boolean> | undefined;
      // Nobody may be waiting any more when it fails: then the fault is in the log and no rejection is left over.
      promise.catch(() => {});
      const execution: Execution = {
        callId,
        key,
        digest,
        listeners,
        tool: tool.name,
        lookup: claimed.lookup,
        read: tool.effect === Effect.READ,
        waiters: 0,
        outlived: false,
        result: undefined,
        ended: promise,
        isCancelled: () => scope.cancelled,
        cancel: () => scope.cancel(),
        outlive() {
          execution.outlived = true;
          // A keyed call that changes something is in the ledger already.
          if (key === undefined || execution.read) recorded ??= record(work, execution.lookup);
        },
      };
      claims.start(execution);
      const work: Performance = {
        name: { callId: call.id, name: call.name },
        tool,
        args: claimed.args,
        scope,
        callId,
        key,
        digest,
        place,
        traceId: observation.traceId,
        ...(claimed.takenOver !== undefined && { takenOver: claimed.takenOver }),
      };

      function settle({ result, ran }: Performed): void {
        result.duration ??= durationFromMs(performance.now() - startedAt);
        observation.ended(result, ran, digest);
        const keep = keepOf(result, tool.effect, execution.outlived);
        const inMemory =
          keep !== "drop" && (call.id !== "" || execution.outlived) && (execution.read || key === undefined);
        const replay = keep === "replay" && key !== undefined;
        execution.result = result;
        claims.end(execution, inMemory ? { tool: tool.name, digest, result, replay, place } : undefined);
        resolve(result);
      }

      async function run(): Promise<void> {
        try {
          const performed = await perform(work, performParts);
          if (performed.begun || (recorded !== undefined && (await recorded)))
            await finish(work, execution, performed.result);
          settle(performed);
        } catch (cause) {
          claims.end(execution, undefined);
          observation.failed();
          telemetry.log.error({ err: cause, tool: tool.name }, "a call could not be executed");
          reject(rpcError(cause instanceof LedgerUnavailable ? "store-unavailable" : "internal", "", cause));
        } finally {
          onEnd();
        }
      }

      void run();
      return execution;
    },
  };
}

/** What every log line of an execution carries. */
function about(
  tool: CompiledTool,
  callId: string,
  place: CallPlace,
  traceId: string,
): Record<string, string | undefined> {
  return {
    tool: tool.name,
    call: callId,
    conversation: place.conversationId || undefined,
    session: place.sessionId || undefined,
    trace_id: traceId,
  };
}

/** A listener that fails is no fault of the tool that reports to it. */
function tell(listen: (progress: Progress) => void, progress: Progress): void {
  try {
    listen(progress);
  } catch {
    // It has nobody to tell: its caller has gone.
  }
}

function toolLog(log: Telemetry["log"]): ToolLog {
  return {
    debug: (message, fields) => log.debug(fields ?? {}, message),
    info: (message, fields) => log.info(fields ?? {}, message),
    warn: (message, fields) => log.warn(fields ?? {}, message),
    error: (message, fields) => log.error(fields ?? {}, message),
  };
}

/** First line of the stack that names a place, without the error's words. */
function frameOf(error: Error): string | undefined {
  return error.stack
    ?.split("\n")
    .find((line) => line.startsWith("    at "))
    ?.trim();
}

function durationFromMs(ms: number): NonNullable<ToolResult["duration"]> {
  const seconds = Math.floor(ms / 1000);
  return {
    $typeName: "google.protobuf.Duration",
    seconds: seconds === 0 ? 0n : BigInt(seconds),
    nanos: Math.floor((ms - seconds * 1000) * 1e6),
  };
}
