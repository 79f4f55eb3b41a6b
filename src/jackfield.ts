import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import type { DestinationStream } from "pino";
import { cognigyInstruments, createCognigyAdapter } from "./adapters/cognigy/index.ts";
import { createGenesysAdapter, createGenesysDelivery, genesysInstruments } from "./adapters/genesys/index.ts";
import { createLineServer, type LineServer } from "./adapters/mcp/stdio.ts";
import { mountAdapter } from "./adapters/mount.ts";
import { createAuthenticator, createRequestAuthenticator, localCaller } from "./auth/authenticator.ts";
import type { Config } from "./config/config.ts";
import { secretTexts } from "./config/describe-config.ts";
import { withSandbox } from "./config/with-sandbox.ts";
import { rpcError } from "./errors.ts";
import { createExecutor } from "./executor/executor.ts";
import type { Deliveries } from "./jobs/delivery.ts";
import { createJobRunner } from "./jobs/runner.ts";
import { createAddressGuard } from "./outbound/address-guard.ts";
import { createTokenSources } from "./outbound/oauth.ts";
import { createOutbound } from "./outbound/outbound.ts";
import { createRemoteTools } from "./remote-tools/remote-tools.ts";
import { createFront } from "./rpc/front.ts";
import { createRpc } from "./rpc/rpc.ts";
import { createServices } from "./rpc/services/services.ts";
import { startSandbox } from "./sandbox/sandbox.ts";
import { createDoors, hostCheckedPaths, protectedResourceOf, publicHosts } from "./app/doors.ts";
import { createConversationRunner } from "./app/conversation-runner.ts";
import { genesysTokens } from "./app/genesys-tokens.ts";
import { createHttp } from "./server/http.ts";
import { adapterCaller, createAdapterHost } from "./app/adapter-host.ts";
import { createClientsFor, createJobCallers } from "./app/in-process-clients.ts";
import { loadTools } from "./app/load-tools.ts";
import { openStores } from "./app/open-stores.ts";
import type { PortServer } from "./server/port.ts";
import { createReadiness } from "./app/readiness.ts";
import { tokenVerifier } from "./app/token-verifier.ts";
import { createTeardown } from "./app/teardown.ts";
import { startMaintenance } from "./app/maintenance.ts";
import { toolsVisibleTo } from "./app/visible-tools.ts";
import { createAccessRefusals } from "./telemetry/access-refusals.ts";
import { createTelemetry } from "./telemetry/create-telemetry.ts";
import type { Telemetry } from "./telemetry/telemetry.ts";
import { version } from "./version.ts";

const hourMs = 3_600_000;

/** A running service. */
export interface Jackfield extends AsyncDisposable {
  /** Where it listens, for example `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly telemetry: Telemetry;
  /** Serves MCP over lines, for the person who started the process. `write` gets each line without its end. */
  mcpOverLines(write: (line: string) => void): LineServer;
  /** Turns readiness off and refuses new work; what runs goes on. */
  beginShutdown(): void;
  /** Waits for what runs, at most until the signal fires, and closes everything. */
  finishShutdown(expired: AbortSignal): Promise<void>;
}

/** How a process differs from another one with the same configuration. */
export interface JackfieldOptions {
  /** Log for people at a terminal instead of JSON lines. */
  readonly pretty?: boolean;
  /** False: nothing listens, and `url` is empty. */
  readonly listen?: boolean;
  /** Where log lines go; stdout when left out. */
  readonly destination?: DestinationStream;
}

/**
 * Starts the service: the only place where its parts are joined. Rejects with a ConfigError, PluginLoadError, StoreRefusedError or
 * StoreOpenError where it must not start; then nothing listens and nothing is left open.
 */
export async function createJackfield(given: Config, options: JackfieldOptions = {}): Promise<Jackfield> {
  await using teardown = createTeardown();

  const sandbox = await startSandbox({ parts: given.sandbox });
  teardown.add(() => sandbox.close());
  const config = withSandbox(given, sandbox);

  const telemetry = createTelemetry({
    config,
    secrets: secretTexts(config),
    version,
    pretty: options.pretty ?? false,
    ...(options.destination !== undefined && { destination: options.destination }),
  });
  teardown.add(() => telemetry.close());
  const { log } = telemetry;
  for (const warning of config.warnings) log.warn(warning);
  for (const [part, url] of Object.entries(sandbox)) {
    if (typeof url === "string")
      log.info({ part, url }, "the sandbox plays a part for which nothing real is configured");
  }

  const { limits } = config;
  const { privateAddresses } = config;
  const guard = createAddressGuard({ privateAddresses });
  const outbound = createOutbound({
    downstreamBytes: limits.downstreamBytes,
    privateAddresses,
    guard,
    telemetry,
    version,
  });
  teardown.add(() => outbound.close());

  const registry = await loadTools(config, true);
  for (const tool of registry.list()) for (const secret of tool.secrets) telemetry.hide(secret);
  teardown.add(() => registry.close());

  const stores = await openStores(config, log);
  teardown.add(() => stores.close());
  const { ledger, queue } = stores;

  const remoteTools = createRemoteTools({
    registry,
    guard,
    telemetry,
    store: stores.registeredTools,
    readMaxBytes: limits.downstreamBytes,
  });
  teardown.add(() => remoteTools.close());
  await remoteTools.start();

  const executor = createExecutor({
    registry,
    ledger,
    outbound,
    telemetry,
    limits,
    recentEntries: config.ledger.readEntries,
  });

  const readiness = createReadiness([
    { name: "tools", run: () => registry.check() },
    { name: "registered tools", run: () => remoteTools.check() },
    { name: "store", run: () => stores.check() },
  ]);
  const { adapters } = config;
  const tokens = genesysTokens(adapters.genesys, createTokenSources({ send: outbound.send }));
  const genesysDelivery =
    tokens &&
    createGenesysDelivery({
      apiBaseUrl: adapters.genesys.apiBaseUrl,
      token: tokens.runs,
      send: outbound.send,
      version,
      measure: telemetry.metrics.measureFor(genesysInstruments),
    });

  const genesysCaller = adapterCaller("genesys", adapters.genesys);
  const deliveries: Deliveries =
    genesysDelivery === undefined ? {} : { genesys: { tenant: genesysCaller.tenant, send: genesysDelivery } };

  const streamsEnd = new AbortController();
  const services = createServices({
    executor,
    registry,
    queue,
    eraseCalls: (selector) => executor.erase(selector),
    limits,
    telemetry,
    deliveries,
    serving: readiness,
    remoteTools,
    runConversation:
      tokens &&
      createConversationRunner({
        clientsFor: (caller) => clientsFor(caller),
        baseUrl: adapters.genesys.apiBaseUrl,
        token: tokens.conversations,
        send: outbound.send,
        telemetry,
      }),
  });
  const verifyToken = tokenVerifier(config.oauth, { send: outbound.send, log });
  const authenticate = createAuthenticator(config.callers, verifyToken);
  const refusals = createAccessRefusals(telemetry);
  teardown.add(() => refusals.close());
  const front = createFront({ telemetry, authenticate, refusals });
  const clientsFor = createClientsFor(services, front);

  const hostParts = {
    telemetry,
    version,
    clientsFor,
    authenticate: createRequestAuthenticator(config.callers, verifyToken),
  };
  const doors = createDoors({ config, version, log, shutdown: streamsEnd.signal });
  const genesys = createGenesysAdapter({
    config: adapters.genesys,
    callsPerRequest: limits.callsPerRequest,
    canDeliver: genesysDelivery !== undefined,
  });

  const cognigy = createCognigyAdapter(adapters.cognigy);
  const app = await createHttp({
    host: config.host,
    tls: config.tls,
    allowedHosts: publicHosts(config),
    hostCheckedPaths,
    limits,
    log,
    readiness,
    authenticate,
    protectedResource: protectedResourceOf(config),
    prometheus: () => telemetry.prometheus(),
    tools: (caller) => toolsVisibleTo(caller, registry),
    refusals,
    rpc: createRpc({
      services,
      front,
      telemetry,
      readMaxBytes: limits.bodyBytes,
      corsOrigins: config.rpc.corsOrigins,
      shutdownSignal: streamsEnd.signal,
    }),
    mounts: [
      (scope) => {
        if (adapters.genesys.enabled)
          mountAdapter(scope, genesys, createAdapterHost(genesys, genesysInstruments, hostParts));
      },
      (scope) => {
        if (adapters.cognigy.enabled)
          mountAdapter(scope, cognigy, createAdapterHost(cognigy, cognigyInstruments, hostParts));
      },
      ...doors.enabled.map((door) => (scope: FastifyInstance) => {
        mountAdapter(scope, door, createAdapterHost(door, [], hostParts));
      }),
    ],
  });
  teardown.add(() => app.close());

  const jobCaller = createJobCallers(config, genesysCaller);
  const runner = createJobRunner({
    queue,
    telemetry,
    executorFor: (record) => clientsFor(jobCaller(record)).executor,
    deliveries,
    retryForMs: config.delivery.retryForMs,
  });
  teardown.add(() => runner.stop(AbortSignal.timeout(5000)));
  const maintenance = startMaintenance({
    executor,
    stores,
    telemetry,
    windowMs: config.ledger.windowHours * hourMs,
    deadJobsMs: config.jobs.deadHours * hourMs,
  });
  teardown.add(() => maintenance.stop());

  const url = options.listen === false ? "" : await listen(app, config);
  log.info({ url, tools: registry.list().length, store: stores.kind }, url === "" ? "started" : "listening");

  const running = teardown.move();
  async function finishShutdown(expired: AbortSignal): Promise<void> {
    expired.addEventListener("abort", () => (app.server as unknown as PortServer).closeAllConnections(), {
      once: true,
    });
    await Promise.all([executor.drain(expired), runner.stop(expired)]);
    streamsEnd.abort(rpcError("draining"));
    await running.disposeAsync();
  }
  return {
    url,
    telemetry,
    mcpOverLines: (write) =>
      createLineServer({
        door: doors.mcp.door,
        caller: localCaller,
        host: createAdapterHost(doors.mcp, [], hostParts),
        maxLineLength: limits.bodyBytes,
        write,
      }),
    beginShutdown: () => readiness.drain(),
    finishShutdown,
    async [Symbol.asyncDispose]() {
      readiness.drain();
      await finishShutdown(AbortSignal.timeout(5000));
    },
  };
}

/** Listens, and returns the address. */
async function listen(app: FastifyInstance, { host, port, tls }: Config): Promise<string> {
  await app.listen({ host, port });
  const bound = (app.server.address() as AddressInfo).port;
  return `http${tls === undefined ? "" : "s"}://${host.includes(":") ? `[${host}]` : host}:${bound}`;
}
