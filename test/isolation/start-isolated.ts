import { readFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { pino } from "pino";
import { onTestFinished } from "vitest";
import { createExecutor } from "../../src/executor/executor.ts";
import { isolateTool, type IsolationOptions } from "../../src/isolation/isolate-tool.ts";
import { createMemoryLedger } from "../../src/ledger/drivers/memory.ts";
import { createOutbound } from "../../src/outbound/outbound.ts";
import type { Effect, Isolation, Tool } from "../../src/plugin/tool.ts";
import { compileTool } from "../../src/registry/compile-tool.ts";
import { createRegistry } from "../../src/registry/create-registry.ts";
import { createSilentTelemetry } from "../../src/telemetry/silent.ts";
import { aCall, aTool, outcomeOf, requestIn } from "../support/executor.ts";

/** The isolation of a plugin in a test. */
export interface IsolatedOptions extends Partial<IsolationOptions> {
  readonly isolation: Isolation;
  readonly plugin?: string;
  readonly timeoutMs?: number;
  readonly effect?: Effect;
  readonly config?: Record<string, unknown>;
}

/** A pipeline with one isolated plugin, and the tool `work` that runs in this process. */
export async function startIsolated(options: IsolatedOptions) {
  const { isolation, plugin = "unruly", timeoutMs, effect = "read", config = { flavour: "plain" }, ...rest } = options;
  const url = pathToFileURL(join(import.meta.dirname, "plugins", `${plugin}.ts`)).href;
  const { default: declared } = (await import(url)) as { default: Tool };
  const definition: Tool = { ...declared, effect };
  const settings = {
    config,
    secretPaths: [],
    limits: timeoutMs === undefined ? {} : { timeoutMs },
    sanitize: undefined,
    isolation,
    required: false,
    repeatWindowMs: undefined,
  };
  const origin = { use: plugin, version: "1", bundled: false };
  const log: string[] = [];
  const telemetry = {
    ...createSilentTelemetry(),
    log: pino({ level: "debug" }, { write: (line: string) => void log.push(line) }),
  };
  const registry = createRegistry();
  const isolated = await isolateTool(compileTool(definition, settings, origin), { url, ...rest });
  registry.put(isolated);
  registry.put(
    compileTool(aTool({ execute: () => "at once" }), { ...settings, isolation: "none", limits: {} }, origin),
  );
  const outbound = createOutbound({
    downstreamBytes: 2_097_152,
    privateAddresses: ["127.0.0.1"],
    telemetry,
    version: "test",
  });
  const ledger = createMemoryLedger();
  const executor = createExecutor({
    registry,
    ledger,
    outbound,
    telemetry,
    limits: { argumentsBytes: 262_144, depth: 32, outputBytes: 65_536 },
    recentEntries: 1000,
  });
  onTestFinished(async () => {
    await executor.drain(AbortSignal.timeout(100));
    await registry.close();
    await outbound.close();
    await ledger.close();
  });
  let count = 0;
  return {
    isolated,
    registry,
    log,
    async call(args: object, name = plugin) {
      const progress: string[] = [];
      const request = requestIn("conversation-1", {
        onProgress: ({ message, fraction }) => void progress.push(`${message} ${fraction}`),
      });
      const result = await executor.execute(aCall(args, { id: `call-${++count}`, name }), request);
      return { outcome: outcomeOf(result), output: result.output, progress };
    },
  };
}

/** A downstream on loopback. */
export async function startDownstream(answer: RequestListener): Promise<string> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

/** Starts a downstream whose only request waits until the test answers it. */
export async function startWaitingDownstream(): Promise<{ url: string; requested: Promise<void>; answer(): void }> {
  const requested = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const url = await startDownstream((_, response) => {
    requested.resolve();
    void release.promise.then(() => response.end("{}"));
  });
  return { url, requested: requested.promise, answer: release.resolve };
}

/** Reports whether a process runs. An ended process that nobody has waited for is still listed. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
