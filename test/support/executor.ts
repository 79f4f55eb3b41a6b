import { ROOT_CONTEXT, trace, type Tracer } from "@opentelemetry/api";
import { pino } from "pino";
import type { JsonObject } from "@bufbuild/protobuf";
import type { ToolCall } from "../../gen/jackfield/v1/tool_pb.ts";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../../src/auth/caller.ts";
import { allScopes } from "../../src/config/scope.ts";
import { createExecutor } from "../../src/executor/executor.ts";
import type { RunningExecutor } from "../../src/executor/executor.ts";
import type { ExecutionRequest } from "../../src/executor/contract.ts";
import { createMemoryLedger } from "../../src/ledger/drivers/memory.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import { createOutbound } from "../../src/outbound/outbound.ts";
import { defineTool } from "../../src/plugin/define-tool.ts";
import type { Tool, ToolDefinition } from "../../src/plugin/tool.ts";
import { compileTool } from "../../src/registry/compile-tool.ts";
import type { ToolSettings } from "../../src/registry/compile-tool.ts";
import { createRegistry } from "../../src/registry/create-registry.ts";
import { openTool } from "../../src/registry/open-tool.ts";
import type { Registry } from "../../src/registry/registry.ts";
import { createSilentTelemetry } from "../../src/telemetry/silent.ts";
import type { ExecutionEvent, Metrics, Telemetry } from "../../src/telemetry/telemetry.ts";

/** Settings of an executor under test. */
export interface ExecutorOptions {
  readonly ledger?: Ledger;
  readonly settings?: Partial<ToolSettings>;
  readonly argumentsBytes?: number;
  readonly outputBytes?: number;
  readonly recentEntries?: number;
  readonly clock?: () => number;
  /** Records spans. There are none by default. */
  readonly tracer?: Tracer;
}

/** A pipeline of its own, and its records. */
export interface ExecutorUnderTest extends AsyncDisposable {
  readonly executor: RunningExecutor;
  readonly registry: Registry;
  readonly ledger: Ledger;
  readonly audit: ExecutionEvent[];
  readonly executed: Parameters<Metrics["executed"]>[0][];
  readonly log: string[];
}

/** The default caller of tests. */
export const caller: Caller = { name: "test", tenant: "default", scopes: new Set(allScopes), tools: undefined };

/** The settings of a tool about which the configuration says nothing, with changes. */
export function toolSettings(change: Partial<ToolSettings> = {}): ToolSettings {
  return {
    config: {},
    secretPaths: [],
    limits: {},
    sanitize: undefined,
    isolation: undefined,
    required: false,
    repeatWindowMs: undefined,
    ...change,
  };
}

/** Starts the real pipeline with these tools: real registry, outgoing HTTP and ledger. */
export async function startExecutor(tools: readonly Tool[], options: ExecutorOptions = {}): Promise<ExecutorUnderTest> {
  const registry = createRegistry();
  for (const tool of tools) {
    const info = { use: tool.name, version: "1.0.0", bundled: false };
    registry.put(await openTool(compileTool(tool, toolSettings(options.settings), info), tool));
  }
  const audit: ExecutionEvent[] = [];
  const executed: Parameters<Metrics["executed"]>[0][] = [];
  const log: string[] = [];
  const silent = createSilentTelemetry();
  const { tracer } = options;
  const tracing: Partial<Telemetry> | undefined = tracer && {
    tracer,
    tracing: true,
    begin(name, parent, spanOptions) {
      const span = tracer.startSpan(name, spanOptions(), parent ?? ROOT_CONTEXT);
      return { context: trace.setSpan(parent ?? ROOT_CONTEXT, span), span };
    },
  };
  const telemetry = {
    ...silent,
    ...tracing,
    log: pino({ level: "debug" }, { write: (line: string) => void log.push(line) }),
    audit: { ...silent.audit, executed: (event: ExecutionEvent) => void audit.push(event) },
    metrics: { ...silent.metrics, executed: (call: Parameters<Metrics["executed"]>[0]) => void executed.push(call) },
  };
  const outbound = createOutbound({ downstreamBytes: 2_097_152, privateAddresses: [], telemetry, version: "test" });
  const ledger = options.ledger ?? createMemoryLedger();
  const executor = createExecutor({
    registry,
    ledger,
    outbound,
    telemetry,
    limits: {
      argumentsBytes: options.argumentsBytes ?? 262_144,
      depth: 32,
      outputBytes: options.outputBytes ?? 65_536,
    },
    recentEntries: options.recentEntries ?? 1000,
    ...(options.clock !== undefined && { clock: options.clock }),
  });
  return {
    executor,
    registry,
    ledger,
    audit,
    executed,
    log,
    async [Symbol.asyncDispose]() {
      await executor.drain(AbortSignal.timeout(100));
      await registry.close();
      await outbound.close();
      if (options.ledger === undefined) await ledger.close();
    },
  };
}

/** A tool that accepts any object. */
export function aTool(definition: Partial<ToolDefinition> & Pick<ToolDefinition, "execute">): Tool {
  return defineTool({
    name: "work",
    description: "Works.",
    inputSchema: { type: "object" },
    effect: "read",
    ...definition,
  });
}

/** A call with an object, or with the text that a model would write. */
export function aCall(args: object | string = {}, change: { id?: string; name?: string } = {}): ToolCall {
  return {
    $typeName: "jackfield.v1.ToolCall",
    id: change.id ?? "call-1",
    name: change.name ?? "work",
    input:
      typeof args === "string"
        ? { case: "argumentsJson", value: args }
        : { case: "arguments", value: args as JsonObject },
  };
}

/** The execution request of a call in one conversation, `""` for none. */
export function requestIn(conversationId = "conversation-1", change: Partial<ExecutionRequest> = {}): ExecutionRequest {
  return { caller, context: contextOf(conversationId), ...change };
}

/** A context with one conversation. */
export function contextOf(conversationId: string): NonNullable<ExecutionRequest["context"]> {
  return { $typeName: "jackfield.v1.CallContext", conversationId, sessionId: "", runId: "", source: "" };
}

/** A promise that blocks a tool until the test opens it. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: () => resolve() };
}

/** Returns the name of an outcome. */
export function outcomeOf({ outcome }: { outcome: Outcome }): string {
  return Object.entries(Outcome).find(([, number]) => number === outcome)?.[0] ?? "";
}
