import type { lookup, LookupAddress } from "node:dns";
import { createServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import type { AddressInfo } from "node:net";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Code, ConnectError } from "@connectrpc/connect";
import { pino } from "pino";
import { onTestFinished } from "vitest";
import { Effect, type ToolSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { RegisterToolRequestSchema, type ToolTargetSchema } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import { createExecutor } from "../../src/executor/executor.ts";
import { createMemoryLedger } from "../../src/ledger/drivers/memory.ts";
import { createAddressGuard } from "../../src/outbound/address-guard.ts";
import { createOutbound } from "../../src/outbound/outbound.ts";
import type { Trust } from "../../src/outbound/trust.ts";
import { createRegistry } from "../../src/registry/create-registry.ts";
import { createSqliteRegisteredTools } from "../../src/remote-tools/drivers/sqlite.ts";
import type { RegisteredTools } from "../../src/remote-tools/registered-tools.ts";
import { createRemoteTools } from "../../src/remote-tools/remote-tools.ts";
import type { Sealer } from "../../src/store/sealer.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import type { AuditEvent } from "../../src/telemetry/telemetry.ts";
import { createSilentTelemetry } from "../../src/telemetry/silent.ts";
import { aCall, caller, outcomeOf, requestIn } from "../support/executor.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

/** Starts a replica: a pipeline of its own, with remote tools over a store that may be shared. */
export async function startReplica(
  store: RegisteredTools,
  options: {
    privateAddresses?: string[];
    pollMs?: number;
    names?: Record<string, string>;
    sealer?: Sealer;
    trust?: Trust;
  } = {},
) {
  const { privateAddresses = ["127.0.0.1"], names } = options;
  const log: string[] = [];
  const tlsProblems: string[] = [];
  const audit: AuditEvent[] = [];
  const telemetry = {
    ...createSilentTelemetry(),
    log: pino({ level: "debug" }, { write: (line: string) => void log.push(line) }),
    audit: { write: (event: AuditEvent) => void audit.push(event), executed() {}, close: async () => {} },
  };
  const guard = createAddressGuard({
    privateAddresses,
    // The test decides to which addresses names resolve.
    ...(names !== undefined && { resolve: resolveBy(names) }),
  });
  const registry = createRegistry();
  const connections = {
    guard,
    ...(options.trust !== undefined && { trust: options.trust }),
    onTlsProblem: (origin: string, problem: string) => void tlsProblems.push(`${origin}: ${problem}`),
  };
  const outbound = createOutbound({
    ...connections,
    downstreamBytes: 2_097_152,
    privateAddresses,
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
  const remote = createRemoteTools({
    registry,
    store,
    ...connections,
    telemetry,
    pollMs: options.pollMs ?? 50,
    ...(options.sealer !== undefined && { sealer: options.sealer }),
    random: () => 0,
  });
  await remote.start();
  const close = async (): Promise<void> => {
    await executor.drain(AbortSignal.timeout(100));
    await remote.close();
    await registry.close();
    await outbound.close();
    await ledger.close();
  };
  onTestFinished(close);
  let count = 0;
  return {
    registry,
    remote,
    log,
    tlsProblems,
    audit,
    close,
    register: (
      tool: MessageInitShape<typeof ToolSchema>,
      target: MessageInitShape<typeof ToolTargetSchema>,
      sanitize = "",
      as = caller,
    ) => remote.register(create(RegisterToolRequestSchema, { tool, target, sanitize }), as),
    unregister: (name: string, as = caller) => remote.unregister(name, as),
    async call(args: object = {}, name = "work", as = caller) {
      const progress: { message: string; fraction: number }[] = [];
      const onProgress = ({ message, fraction }: { message: string; fraction: number }): void =>
        void progress.push({ message, fraction });
      const call = aCall(args, { id: `call-${++count}`, name });
      const result = await executor.execute(call, requestIn("conversation-1", { onProgress, caller: as }));
      return { outcome: outcomeOf(result), output: result.output, progress };
    },
  };
}

function resolveBy(names: Record<string, string>): typeof lookup {
  const resolve = (host: string, _: unknown, answer: (error: null, addresses: LookupAddress[]) => void): void =>
    answer(null, [{ address: names[host] ?? "192.0.2.1", family: 4 }]);
  return resolve as unknown as typeof lookup;
}

/** Opens the embedded store in a folder of its own. */
export async function embedded(folder = scratchFolder()) {
  const store = await openSqliteStore({ folder: folder.path });
  onTestFinished(async () => {
    await store.close();
    folder[Symbol.dispose]();
  });
  return createSqliteRegisteredTools(store);
}

type Answer = (
  body: string,
  request: IncomingMessage,
) => { status?: number; body?: unknown } | Promise<{ status?: number; body?: unknown }>;

/** Starts an HTTP target on a loopback port. */
export async function startTarget(answer: Answer) {
  const requests: { body: string; request: IncomingMessage }[] = [];
  const server: Server = createServer((request, response) => {
    let body = "";
    const reply = async (): Promise<void> => {
      const { status = 200, body: said = null } = await answer(body, request);
      response.writeHead(status, { "content-type": "application/json" });
      response.end(typeof said === "string" ? said : JSON.stringify(said));
    };
    request.on("data", (chunk) => (body += String(chunk)));
    request.on("end", () => {
      requests.push({ body, request });
      void reply();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/tool`, requests };
}

/** Returns a target over HTTP. */
export const httpTo = (url: string, headers: Record<string, string> = {}) => ({
  target: { case: "http" as const, value: { url, headers } },
});
/** A tool that reads. */
export const tool = { name: "work", description: "Works.", inputSchema: { type: "object" }, effect: Effect.READ };

/** Returns the error of a refused registration. */
export const refusal = async (promise: Promise<unknown>): Promise<{ code: Code; message: string }> => {
  const reason: unknown = await promise.then(
    () => new Error("nothing was refused"),
    (cause: unknown) => cause,
  );
  if (!(reason instanceof ConnectError)) throw reason;
  return { code: reason.code, message: reason.rawMessage };
};
