import type { AddressInfo } from "node:net";
import type { FastifyInstance } from "fastify";
import type { DestinationStream } from "pino";
import { mountAdapter } from "./adapters/mount.ts";
import type { LineServer } from "./adapters/platform.ts";
import { platforms } from "./adapters/platforms.ts";
import { createAdapterHost } from "./app/adapter-host.ts";
import { asConfigError } from "./app/config-errors.ts";
import { configFromObject, type JackfieldSettings, type SettingsOrigin } from "./app/configuration-by-object.ts";
import { connectPlatforms } from "./app/connect-platforms.ts";
import { createConversationRunner } from "./app/conversation-runner.ts";
import { createClientsFor, createJobCallers } from "./app/in-process-clients.ts";
import { loadTools } from "./app/load-tools.ts";
import { startMaintenance } from "./app/maintenance.ts";
import { openStores } from "./app/open-stores.ts";
import { createOutgoing } from "./app/outgoing.ts";
import { prepare } from "./app/prepare.ts";
import { metadataUrlOf, protectedResourceOf, publicHosts, serviceAddress } from "./app/service-address.ts";
import { createReadiness } from "./app/readiness.ts";
import { sandboxNotes, startSandboxParts, withSandbox } from "./app/sandbox-parts.ts";
import { createTeardown } from "./app/teardown.ts";
import { toolsVisibleTo } from "./app/visible-tools.ts";
import { createAuthenticator, createRequestAuthenticator, localCaller } from "./auth/authenticator.ts";
import { createChallenges } from "./auth/challenge.ts";
import type { Config } from "./config/config.ts";
import { secretTexts } from "./config/describe-config.ts";
import { rpcError } from "./errors.ts";
import { createExecutor } from "./executor/executor.ts";
import { createJobRunner } from "./jobs/runner.ts";
import { createTokenSources } from "./outbound/oauth.ts";
import { createRemoteTools } from "./remote-tools/remote-tools.ts";
import { createFront } from "./rpc/front.ts";
import { createRpc } from "./rpc/rpc.ts";
import { createServices } from "./rpc/services/services.ts";
import { createHttp } from "./server/http.ts";
import type { PortServer } from "./server/port.ts";
import { tokenVerifier } from "./app/token-verifier.ts";
import { createAccessRefusals } from "./telemetry/access-refusals.ts";
import { createTelemetry } from "./telemetry/create-telemetry.ts";
import type { Telemetry } from "./telemetry/telemetry.ts";
import { version } from "./version.ts";

const hourMs = 3_600_000;

/** A running service. */
export interface Jackfield extends AsyncDisposable {
  /** Address on which it listens, for example `http://127.0.0.1:8080`. */
  readonly url: string;
  /** Turns readiness off. New work is still accepted until `drain`. */
  unready(): void;
  /** Turns readiness off and rejects new work. Running calls continue. */
  drain(): void;
  /** Waits for running calls, until the signal fires at the latest, and closes everything. */
  close(expired?: AbortSignal): Promise<void>;
}

/** A running service, with the operations that the process and tests need. */
export interface RunningService extends Jackfield {
  readonly telemetry: Telemetry;
  readonly config: Config;
  /**
   * Serves newline-delimited messages as the caller `local`, for the person who started the process. `write` receives
   * each line without its line break.
   */
  serveLines(write: (line: string) => void): LineServer;
}

/** Log and listening options of a service. */
export interface LogOptions {
  /** Formats the log for people at a terminal, instead of JSON lines. */
  readonly pretty?: boolean;
  /** False: the service does not listen, and `url` is empty. */
  readonly listen?: boolean;
  /** Destination of log lines; stdout by default. */
  readonly destination?: DestinationStream;
}

/** Options of `createJackfield` besides the settings. */
export interface JackfieldOptions extends SettingsOrigin, LogOptions {}

/**
 * Starts the service from a settings object, with the keys, checks and defaults of the configuration file. Use it to
 * embed the service in a program or a test. Rejects with a ConfigError if the settings are invalid; then nothing
 * listens and nothing is left open.
 *
 * ```ts
 * await using jackfield = await createJackfield({ port: 0, plugins: [myTool] });
 * ```
 */
export async function createJackfield(
  settings: JackfieldSettings = {},
  options: JackfieldOptions = {},
): Promise<Jackfield> {
  const service = await startService(configFromObject(settings, options), options).catch(asConfigError);
  const { url, unready, drain, close } = service;
  return { url, unready, drain, close, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() };
}

/**
 * Starts the service: the only place where its parts are joined. Rejects with a ConfigError, StoreRefusedError or
 * StoreOpenError if it must not start; then nothing listens and nothing is left open.
 */
export async function startService(given: Config, options: LogOptions = {}): Promise<RunningService> {
  await using teardown = createTeardown();

  const prepared = await prepare(given);
  const sandbox = await startSandboxParts(prepared.sandboxParts);
  teardown.add(() => sandbox.close());
  const { config, plugins } = withSandbox(prepared, sandbox.urls);
  const sandboxed = sandboxNotes(prepared.sandboxParts);

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
  for (const note of sandboxed) log.info({ urls: sandbox.urls }, note);

  const { limits } = config;
  const outgoing = createOutgoing(config, telemetry);
  teardown.add(() => outgoing.close());
  const { outbound } = outgoing;

  const streamsEnd = new AbortController();
  const connected = connectPlatforms(platforms, config, {
    send: outbound.send,
    tokenSource: createTokenSources({ send: outbound.send, hide: telemetry.hideToken }),
    telemetry,
    version,
    shutdown: streamsEnd.signal,
    service: serviceAddress(config, () => stores.sharedSecret()),
  });
  const { deliveries, modelGateway } = connected;

  const registry = await loadTools(plugins, true, connected.credentials, config.isolatedEnv);
  for (const tool of registry.list()) for (const secret of tool.secrets) telemetry.hide(secret);
  teardown.add(() => registry.close());

  const stores = await openStores(config, log);
  teardown.add(() => stores.close());
  const { ledger, queue, registeredTools: store, sealer } = stores;

  const { downstreamBytes: readMaxBytes } = limits;
  const remoteTools = createRemoteTools({ ...outgoing, registry, telemetry, store, sealer, readMaxBytes });
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

  const readiness = createReadiness(
    [
      { name: "tools", run: () => registry.check() },
      { name: "registered tools", run: () => remoteTools.check() },
      { name: "store", run: () => stores.check() },
      { name: "configuration", run: () => ({ problems: [], notes: [...sandboxed, ...connected.notes] }) },
    ],
    { redact: telemetry.redact },
  );

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
      modelGateway &&
      createConversationRunner({
        clientsFor: (caller) => clientsFor(caller),
        gateway: { ...modelGateway, send: outbound.send },
        callsPerRequest: limits.callsPerRequest,
        telemetry,
      }),
  });
  const verifyToken = await tokenVerifier(config.oauth, { send: outbound.send, log });
  const authenticate = createAuthenticator(config.callers, verifyToken);
  const refusals = createAccessRefusals(telemetry);
  teardown.add(() => refusals.close());
  const challenges = createChallenges(metadataUrlOf(config));
  const front = createFront({ telemetry, authenticate, refusals, challenges });
  const clientsFor = createClientsFor(services, front);

  const hostParts = {
    telemetry,
    version,
    clientsFor,
    authenticate: createRequestAuthenticator(config.callers, verifyToken),
    refusals,
  };

  const app = await createHttp({
    host: config.host,
    tls: config.tls,
    allowedHosts: publicHosts(config),
    hostCheckedPaths: connected.hostCheckedPaths,
    limits,
    log,
    readiness,
    authenticate,
    challenges,
    protectedResource: protectedResourceOf(config),
    prometheus: () => telemetry.prometheus(),
    tools: (caller) => toolsVisibleTo(caller, registry),
    refusals,
    rpc: createRpc({
      services,
      front,
      telemetry,
      messages: { readMaxBytes: limits.bodyBytes, maxItems: limits.callsPerRequest },
      corsOrigins: config.rpc.corsOrigins,
      shutdownSignal: streamsEnd.signal,
    }),
    mounts: connected.adapters.map(({ adapter, platform }) => (scope) => {
      mountAdapter(scope, adapter, createAdapterHost(adapter, platform.instruments, hostParts));
    }),
  });
  teardown.add(() => app.close());

  const jobCaller = createJobCallers(config, connected.callers);
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
    uncertainMs: config.ledger.uncertainHours * hourMs,
    deadJobsMs: config.jobs.deadHours * hourMs,
  });
  teardown.add(() => maintenance.stop());

  const url = options.listen === false ? "" : await listen(app, config);
  log.info({ url, tools: registry.list().length, store: stores.kind }, url === "" ? "started" : "listening");

  const running = teardown.move();
  function drain(): void {
    readiness.drain();
    // Rejects new calls at once. Closing waits for the running ones.
    void executor.drain(new AbortController().signal);
  }
  async function close(expired = AbortSignal.timeout(5000)): Promise<void> {
    readiness.drain();
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
    config,
    serveLines: (write) =>
      connected.lines.serve({
        caller: localCaller,
        host: createAdapterHost(connected.lines.adapter, [], hostParts),
        maxLineLength: limits.bodyBytes,
        write,
      }),
    unready: () => readiness.unready(),
    drain,
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

/** Starts to listen, and returns the address. */
async function listen(app: FastifyInstance, { host, port, tls }: Config): Promise<string> {
  await app.listen({ host, port });
  const bound = (app.server.address() as AddressInfo).port;
  return `http${tls === undefined ? "" : "s"}://${host.includes(":") ? `[${host}]` : host}:${bound}`;
}
