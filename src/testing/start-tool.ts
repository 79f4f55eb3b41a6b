import { randomUUID } from "node:crypto";
import type { Violation } from "../../gen/jackfield/v1/tool_pb.ts";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../auth/caller.ts";
import type { PluginConfig } from "../config/config.ts";
import { allScopes } from "../config/scope.ts";
import { cancellationFromSignal } from "../executor/cancellation.ts";
import { createExecutor } from "../executor/executor.ts";
import { jsonFromValue } from "../executor/json-value.ts";
import { createMemoryLedger } from "../ledger/drivers/memory.ts";
import { createOutbound } from "../outbound/outbound.ts";
import type { Json, JsonObject, Tool } from "../plugin/tool.ts";
import { compileTool } from "../registry/compile-tool.ts";
import { createRegistry } from "../registry/create-registry.ts";
import { openTool } from "../registry/open-tool.ts";
import { createSilentTelemetry } from "../telemetry/silent.ts";

/** The outcome of one call, with details for assertions. */
export interface CallOutcome {
  readonly outcome: keyof typeof Outcome;
  /** The output that the model reads. */
  readonly output: string;
  readonly value: Json | undefined;
  readonly error: { readonly message: string } | undefined;
  readonly violations: readonly Pick<Violation, "path" | "message">[];
  readonly truncated: boolean;
  readonly replayed: boolean;
  readonly attempts: number;
  /** The error that the tool's function threw, with its message and stack. The model never sees it. */
  readonly cause: unknown;
  /** Progress that the tool reported, in order. */
  readonly progress: readonly { readonly message: string; readonly fraction: number }[];
}

/** Context of a test call. */
export interface CallOptions {
  readonly callId?: string;
  readonly conversationId?: string;
  readonly sessionId?: string;
  readonly answerWithinMs?: number;
  readonly signal?: AbortSignal;
}

/** A tool in its own pipeline. */
export interface StartedTool extends AsyncDisposable {
  /** Runs one call. Arguments are an object, or JSON text as a model would write it. */
  call(args: object | string, options?: CallOptions): Promise<CallOutcome>;
  /** Rejects if the tool's `ready` throws. */
  ready(): Promise<void>;
}

/** Configuration of the tool, with the keys of the configuration file. */
export type StartOptions = Partial<Omit<PluginConfig, "use" | "isolation" | "secretPaths">>;

const caller: Caller = { name: "test", tenant: "default", scopes: new Set(allScopes), tools: undefined };

/**
 * Runs a tool through the real pipeline: parsing, sanitising, validation, ledger (in memory), limits, deadlines and
 * output. Use it in the tests of a plugin.
 *
 * ```ts
 * await using tool = await startTool(plugin, { config: { baseUrl } });
 * expect((await tool.call({ order_id: "A1" })).output).toBe("shipped");
 * ```
 */
export async function startTool(plugin: Tool, options: StartOptions = {}): Promise<StartedTool> {
  const settings = {
    config: options.config ?? {},
    limits: options.limits ?? {},
    sanitize: options.sanitize,
    isolation: undefined,
    required: options.required ?? false,
    secretPaths: [],
    repeatWindowMs: options.repeatWindowMs ?? 0,
  };
  const registry = createRegistry();
  const tool = await openTool(compileTool(plugin, settings, { use: "test", version: "0.0.0", bundled: false }), plugin);
  registry.put(tool);
  const telemetry = createSilentTelemetry();
  const outbound = createOutbound({ downstreamBytes: 2_097_152, privateAddresses: [], telemetry, version: "test" });
  const ledger = createMemoryLedger();
  const causes = new Map<string, unknown>();
  const executor = createExecutor({
    registry,
    ledger,
    outbound,
    telemetry,
    limits: { argumentsBytes: 262_144, depth: 32, outputBytes: 65_536 },
    recentEntries: 1000,
    onToolError: (callId, reason) => causes.set(callId, reason),
  });
  return {
    async call(args, { callId = randomUUID(), conversationId = "", sessionId = "", answerWithinMs, signal } = {}) {
      const progress: { message: string; fraction: number }[] = [];
      const result = await executor.execute(
        {
          $typeName: "jackfield.v1.ToolCall",
          id: callId,
          name: plugin.name,
          input:
            typeof args === "string"
              ? { case: "argumentsJson", value: args }
              : { case: "arguments", value: args as JsonObject },
        },
        {
          caller,
          context: { $typeName: "jackfield.v1.CallContext", conversationId, sessionId, runId: "", source: "" },
          answerWithinMs,
          cancellation: signal && cancellationFromSignal(signal),
          onProgress: ({ message, fraction }) => progress.push({ message, fraction }),
        },
      );
      return {
        outcome: outcomeNames.get(result.outcome) ?? "UNSPECIFIED",
        output: result.output,
        value: result.value === undefined ? undefined : jsonFromValue(result.value),
        error: result.error && { message: result.error.message },
        violations: result.error?.violations.map(({ path, message }) => ({ path, message })) ?? [],
        truncated: result.truncated,
        replayed: result.replayed,
        attempts: result.attempts,
        cause: causes.get(callId),
        progress,
      };
    },
    ready: () => tool.ready(),
    async [Symbol.asyncDispose]() {
      await executor.drain(AbortSignal.timeout(5000));
      await registry.close();
      await outbound.close();
      await ledger.close();
    },
  };
}

const outcomeNames = new Map<number, keyof typeof Outcome>(
  Object.entries(Outcome).map(([name, number]) => [number, name as keyof typeof Outcome]),
);
