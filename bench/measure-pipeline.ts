import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { Outcome } from "../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../src/auth/caller.ts";
import { loadConfig } from "../src/app/load-config.ts";
import { createExecutor } from "../src/executor/executor.ts";
import { createMemoryLedger } from "../src/ledger/drivers/memory.ts";
import { createOutbound } from "../src/outbound/outbound.ts";
import type { JsonObject, Tool } from "../src/plugin/tool.ts";
import { compileTool } from "../src/registry/compile-tool.ts";
import { createRegistry } from "../src/registry/create-registry.ts";
import { createTelemetry } from "../src/telemetry/create-telemetry.ts";
import read from "./plugins/read.ts";
import { scratchFolder } from "./scratch.ts";

/** The pipeline in this process: metrics and audit to a file on, tracing off. */
export interface Pipeline extends AsyncDisposable {
  /** Runs one call of one of the tools. Rejects unless the answer is good. */
  call(number: number, args: JsonObject): Promise<void>;
}

/** The result of a measurement. */
export interface PipelineResult {
  /** Time from one call to the next in microseconds, with its audit line. */
  readonly micros: number;
  /** Processor time of all threads per call, in microseconds. */
  readonly cpuMicros: number;
}

const caller: Caller = { name: "bench", tenant: "default", scopes: new Set(["tools:execute"]), tools: undefined };
const settings = {
  config: {},
  limits: {},
  sanitize: undefined,
  isolation: undefined,
  required: false,
  secretPaths: [],
};

/** Composes an executor as the service does, with this number of tools without I/O. */
export function openPipeline(tools: number, changes: Partial<Tool> = {}): Pipeline {
  const folder = scratchFolder();
  const config = loadConfig({
    env: { JACKFIELD_AUDIT_FILE: join(folder.path, "audit.jsonl"), JACKFIELD_DATA_DIR: folder.path },
    cwd: folder.path,
  });
  const telemetry = createTelemetry({ config, secrets: [], version: "bench", pretty: false });
  const outbound = createOutbound({ downstreamBytes: 2_097_152, privateAddresses: [], telemetry, version: "bench" });
  const registry = createRegistry();
  const names = Array.from({ length: tools }, (_each, index) => `read_inventory_${index}`);
  for (const name of names) {
    registry.put(
      compileTool({ ...read, ...changes, name }, settings as never, { use: name, version: "1.0.0", bundled: false }),
    );
  }
  const executor = createExecutor({
    registry,
    ledger: createMemoryLedger(),
    outbound,
    telemetry,
    limits: { argumentsBytes: 262_144, depth: 32, outputBytes: 65_536 },
    recentEntries: 10_000,
  });
  const context = {
    $typeName: "jackfield.v1.CallContext",
    conversationId: "conversation",
    sessionId: "",
    runId: "",
    source: "",
  } as const;
  return {
    async call(number, args) {
      const call = {
        $typeName: "jackfield.v1.ToolCall",
        id: `call-${number}`,
        name: names[(number * 7919) % tools]!,
        input: { case: "arguments", value: args },
      } as const;
      const result = await executor.execute(call, { caller, context });
      if (result.outcome !== Outcome.OK) throw new Error(`a call was answered badly: ${result.output}`);
    },
    async [Symbol.asyncDispose]() {
      await executor.drain(AbortSignal.timeout(1000));
      await outbound.close();
      await telemetry.close();
      folder[Symbol.dispose]();
    },
  };
}

/** Runs calls one after the other. A tenth of them are the warm-up. */
export async function measurePipeline(options: {
  calls: number;
  tools?: number;
  args?: JsonObject;
  /** The tool accepts additional arguments. */
  free?: boolean;
  warmUp?: number;
}): Promise<PipelineResult> {
  const { calls, tools = 1, args = { sku: "SKU-8842", warehouse: "US-WEST" }, free = false } = options;
  let number = 0;
  const run = async (pipeline: Pipeline, count: number): Promise<void> => {
    for (let done = 0; done < count; done++) {
      await pipeline.call(number++, args);
      // Lets timers and files proceed, as they do between the requests of a server.
      if (done % 200 === 199) await turn();
    }
  };
  const pipeline = openPipeline(
    tools,
    free ? { inputSchema: { ...read.inputSchema, additionalProperties: true } as never } : {},
  );
  await run(pipeline, options.warmUp ?? Math.max(20_000, calls / 10));
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await run(pipeline, calls);
  const micros = ((performance.now() - startedAt) * 1000) / calls;
  await pipeline[Symbol.asyncDispose]();
  const used = process.cpuUsage(cpu);
  return { micros, cpuMicros: (used.user + used.system) / calls };
}
