import { hash, randomUUID } from "node:crypto";
import type { Context } from "@opentelemetry/api";
import type { Outbound } from "../outbound/http.ts";
import type { ExecutionContext, ToolHttp, ToolLog } from "../plugin/tool.ts";
import type { CompiledTool } from "../registry/registry.ts";
import type { CallScope } from "../ledger/ledger.ts";
import { effectName } from "./effect.ts";
import type { RunScope } from "./run.ts";

/** What a tool's view of its execution is made from. */
export interface ScopeParts {
  readonly tool: CompiledTool;
  readonly callId: string;
  /** What no other call has and the same call always has; undefined where there is no such thing. */
  readonly uniqueKey: string | undefined;
  readonly scope: CallScope;
  readonly trace: Context | undefined;
  /** The trace that its log lines name, also where no span is recorded. */
  readonly traceId: string;
  report(message: string, fraction: number): void;
}

/** What the views of all executions are made with. */
export interface ScopeHost {
  readonly outbound: Outbound;
  logFor(parts: ScopeParts): ToolLog;
}

/**
 * One execution as its tool sees it. Signal, HTTP, log and progress are made when the tool first asks for them: most tools
 * need only some.
 */
export class ToolContext implements ExecutionContext, RunScope {
  readonly #parts: ScopeParts;
  readonly #host: ScopeHost;
  #startedAt = 0;
  #controller: AbortController | undefined;
  #aborted: Error | undefined;
  #http: ToolHttp | undefined;
  #log: ToolLog | undefined;
  #progress: ExecutionContext["progress"] | undefined;
  #cancelled = false;
  #cancelListener: (() => void) | undefined;
  #idempotencyKey: string | undefined;

  constructor(parts: ScopeParts, host: ScopeHost) {
    this.#parts = parts;
    this.#host = host;
  }

  get context(): ExecutionContext {
    return this;
  }

  get callId(): string {
    return this.#parts.callId;
  }

  get conversationId(): string | undefined {
    return this.#parts.scope.conversationId || undefined;
  }

  get sessionId(): string | undefined {
    return this.#parts.scope.sessionId || undefined;
  }

  get source(): string {
    return this.#parts.scope.source;
  }

  get config(): unknown {
    return this.#parts.tool.config;
  }

  get state(): unknown {
    return this.#parts.tool.state;
  }

  get idempotencyKey(): string {
    const { uniqueKey } = this.#parts;
    return (this.#idempotencyKey ??= uniqueKey === undefined ? randomUUID() : hash("sha256", uniqueKey, "base64url"));
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#aborted !== undefined) this.#controller.abort(this.#aborted);
    }
    return this.#controller.signal;
  }

  get http(): ToolHttp {
    const { tool, trace } = this.#parts;
    return (this.#http ??= this.#host.outbound.httpFor({
      effect: effectName(tool.effect),
      retry: tool.retry,
      signal: this.signal,
      deadline: this.#startedAt + tool.timeoutMs,
      configuredOrigins: tool.configuredOrigins,
      trace,
    }));
  }

  /** For the core's own targets, which carry the trace on themselves. */
  get trace(): Context | undefined {
    return this.#parts.trace;
  }

  get log(): ToolLog {
    return (this.#log ??= this.#host.logFor(this.#parts));
  }

  // Bound, so that a tool may take it out of the context by name.
  get progress(): ExecutionContext["progress"] {
    return (this.#progress ??= (report) => {
      if (this.#aborted !== undefined) return;
      const fraction = Number.isFinite(report.fraction) ? Math.min(1, Math.max(0, report.fraction as number)) : 0;
      this.#parts.report(this.#parts.tool.redact(String(report.message ?? "")), fraction);
    });
  }

  // The tool's time counts from here: what a call waited for a scope is not taken from its requests.
  started(): void {
    this.#startedAt = performance.now();
  }

  abort(reason: Error): void {
    this.#aborted = reason;
    this.#controller?.abort(reason);
  }

  get cancelled(): boolean {
    return this.#cancelled;
  }

  onCancel(listener: () => void): void {
    this.#cancelListener = listener;
    if (this.#cancelled) listener();
  }

  /** Ends the run: nobody waits for it any more. */
  cancel(): void {
    this.#cancelled = true;
    this.#cancelListener?.();
  }
}
