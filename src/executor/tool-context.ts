import { SentRequests } from "../outbound/sent-requests.ts";
import type { ExecutionContext, ToolHttp, ToolLog } from "../plugin/tool.ts";
import type { TraceContext } from "../telemetry/telemetry.ts";
import type { Execution } from "./execution.ts";
import { effectNames } from "./intent.ts";
import type { ExecutorParts } from "./stage.ts";

/**
 * One run as its tool sees it. Signal, HTTP, log and progress are made when the tool first asks for them: most tools need
 * only some.
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
  /** Execution deadline by `performance.now()`. */
  readonly #deadline: number;
  /** Whether this is the run of the call, whose requests decide what may have happened. */
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

  /** What the run has sent; also for the core's own targets. */
  get sent(): SentRequests {
    if (!this.#isRun) return new SentRequests();
    return (this.#execution.sent ??= new SentRequests());
  }

  /**
   * The `performance.now()` value after which nothing that changes anything may leave: another process may have taken the
   * call over.
   */
  get sendUntil(): number {
    return Math.min(this.#deadline, this.#execution.claim?.sendUntil ?? Infinity);
  }

  /** For the core's own targets, which carry the trace on themselves. */
  get trace(): TraceContext | undefined {
    return this.#execution.trace;
  }

  /** Ids of the execution, for the spans of the core's own targets. */
  get attributes(): Readonly<Record<string, string>> {
    return this.#parts.attributesOf(this.#execution);
  }

  get log(): ToolLog {
    return (this.#log ??= this.#parts.logOf(this.#execution));
  }

  // Bound, so that a tool may take it out of the context by name.
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
