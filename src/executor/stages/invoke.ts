import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import { LedgerUnavailableError } from "../../ledger/ledger.ts";
import { SentRequests } from "../../outbound/sent-requests.ts";
import type { ExecutionContext, ToolHttp, ToolLog } from "../../plugin/tool.ts";
import { PluginError } from "../../registry/plugin-error.ts";
import type { TraceContext } from "../../telemetry/telemetry.ts";
import type { Pacer } from "../../timing.ts";
import type { Execution, RunEnd } from "../execution.ts";
import { effectNames } from "../intent.ts";
import type { ExecutorParts, StageAnswer } from "../stage.ts";
import { attempt } from "../thrown.ts";
import { errorResult } from "../tool-result.ts";

/**
 * Calls the tool's function under its execution deadline, which starts here. DANGER: if the process was suspended after
 * the intent was stored, another one may be about to take over the call; then the function is not called.
 */
export function invoke(execution: Execution, parts: ExecutorParts): StageAnswer {
  if (execution.cancelled) return errorResult(execution, Outcome.CANCELLED, modelError("cancelled"));
  const { tool, args, claim } = execution;
  const now = performance.now();
  const timeoutMs = claim === undefined ? tool.timeoutMs : Math.min(tool.timeoutMs, claim.sendUntil - now);
  if (timeoutMs <= 0) throw new LedgerUnavailableError("the intent was stored too long ago for the call to run");
  execution.startedAt = now;
  const end = runTool(tool.run, args, { execution, startsAt: now, timeoutMs, isRun: true }, parts);
  if (end instanceof Promise) return end.then((ended) => keep(execution, ended));
  return keep(execution, end);
}

function keep(execution: Execution, end: RunEnd): ToolResult | undefined {
  execution.end = end;
  if (!isNotStarted(end)) return undefined;
  execution.startedAt = undefined;
  return errorResult(execution, Outcome.FAILED, modelError("tool-not-ready", execution.tool.name));
}

/** Reports whether a run ended before the tool's function was called, because an isolated tool could not be started. */
function isNotStarted(end: RunEnd): boolean {
  return end.kind === "threw" && attempt(() => end.reason instanceof PluginError) === true;
}

/** How a function of a tool is run. */
interface RunScope {
  readonly execution: Execution;
  /** Time at which it starts, a `performance.now()` value. */
  readonly startsAt: number;
  /** Its deadline after that, in milliseconds. */
  readonly timeoutMs: number;
  /** Whether this is the run of the call itself, whose requests determine which effects are possible. */
  readonly isRun: boolean;
}

/**
 * Runs a function of a tool under a deadline. At the deadline, or when the execution is cancelled, the context's signal
 * fires and the run ends. Returns synchronously if the function does.
 */
export function runTool<Input>(
  run: (input: Input, context: ToolContext) => unknown,
  input: Input,
  { execution, startsAt, timeoutMs, isRun }: RunScope,
  parts: ExecutorParts,
): RunEnd | Promise<RunEnd> {
  const context = new ToolContext(execution, startsAt + timeoutMs, isRun, parts);
  try {
    const returned = run(input, context);
    return isThenable(returned)
      ? underDeadline(Promise.resolve(returned), timeoutMs, execution, context, parts.pace)
      : { kind: "returned", returned };
  } catch (reason) {
    return { kind: "threw", reason };
  }
}

function underDeadline(
  promise: Promise<unknown>,
  timeoutMs: number,
  execution: Execution,
  context: ToolContext,
  pace: Pacer,
): Promise<RunEnd> {
  return new Promise((resolve) => {
    const late = promise.then(
      (returned): RunEnd => ({ kind: "returned", returned }),
      (reason: unknown): RunEnd => ({ kind: "threw", reason }),
    );
    let isOver = false;
    const finish = (end: RunEnd, aborted?: DOMException): void => {
      if (isOver) return;
      isOver = true;
      clearTimeout(timer);
      resolve(end);
      if (aborted !== undefined) context.abort(aborted);
    };
    const onDeadline = (): void =>
      finish(
        { kind: "timed-out", late },
        new DOMException("The tool's execution deadline has passed.", "TimeoutError"),
      );
    const timer = setTimeout(() => pace(onDeadline), timeoutMs);
    execution.onCancel(() => {
      finish(
        { kind: "cancelled", late },
        new DOMException("The call was cancelled: no caller is waiting.", "AbortError"),
      );
    });
    void late.then((end) => finish(end));
  });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}

/**
 * The context of one run, as its tool sees it. Signal, HTTP, log and progress are created on first access, because most
 * tools use only some of them.
 */
export class ToolContext implements ExecutionContext {
  readonly callId: string;
  readonly conversationId: string | undefined;
  readonly sessionId: string | undefined;
  readonly source: string;
  readonly config: unknown;
  readonly state: unknown;
  readonly #execution: Execution;
  readonly #parts: Pick<ExecutorParts, "outbound" | "logOf" | "attributesOf">;
  /** Execution deadline, a `performance.now()` value. */
  readonly #deadline: number;
  /** Whether this is the run of the call itself, whose requests determine which effects are possible. */
  readonly #isRun: boolean;
  #controller: AbortController | undefined;
  #aborted: Error | undefined;
  #http: ToolHttp | undefined;
  #log: ToolLog | undefined;
  #progress: ExecutionContext["progress"] | undefined;

  constructor(
    execution: Execution,
    deadline: number,
    isRun: boolean,
    parts: Pick<ExecutorParts, "outbound" | "logOf" | "attributesOf">,
  ) {
    const { scope, tool } = execution;
    this.callId = execution.callId;
    this.conversationId = scope.conversationId || undefined;
    this.sessionId = scope.sessionId || undefined;
    this.source = scope.source;
    this.config = tool.config;
    this.state = tool.state;
    this.#execution = execution;
    this.#deadline = deadline;
    this.#isRun = isRun;
    this.#parts = parts;
  }

  get idempotencyKey(): string {
    return this.#execution.idempotencyKey;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted);
    }
    return this.#controller.signal;
  }

  get http(): ToolHttp {
    const { tool, effect, trace } = this.#execution;
    return (this.#http ??= this.#parts.outbound.httpFor({
      effect: effectNames[effect] ?? "write",
      retry: tool.retry,
      signal: this.signal,
      deadline: this.#deadline,
      sendUntil: this.sendUntil,
      sent: this.sent,
      configuredOrigins: tool.configuredOrigins,
      credential: tool.credential,
      trace,
      log: () => this.log,
      attributes: () => this.attributes,
    }));
  }

  /** The requests that the run has sent. Also used by remote targets. */
  get sent(): SentRequests {
    if (!this.#isRun) return new SentRequests();
    return (this.#execution.sent ??= new SentRequests());
  }

  /**
   * The `performance.now()` value after which no request that changes anything may leave, because another process may
   * have taken over the call.
   */
  get sendUntil(): number {
    return Math.min(this.#deadline, this.#execution.claim?.sendUntil ?? Infinity);
  }

  /** Parent of the spans that remote targets create, which propagate the trace themselves. */
  get trace(): TraceContext | undefined {
    return this.#execution.trace;
  }

  /** Ids of the execution, for the spans of remote targets. */
  get attributes(): Readonly<Record<string, string>> {
    return this.#parts.attributesOf(this.#execution);
  }

  get log(): ToolLog {
    return (this.#log ??= this.#parts.logOf(this.#execution));
  }

  // Bound, so that a tool may destructure it.
  get progress(): ExecutionContext["progress"] {
    return (this.#progress ??= (report) => {
      if (this.#aborted !== undefined) return;
      const fraction = Number.isFinite(report.fraction) ? Math.min(1, Math.max(0, report.fraction as number)) : 0;
      const message = this.#execution.tool.redact(String(report.message ?? ""));
      this.#execution.report(message, fraction);
    });
  }

  /** Fires the signal that tool and downstream see. */
  abort(reason: Error): void {
    this.#aborted = reason;
    this.#controller?.abort(reason);
  }
}
