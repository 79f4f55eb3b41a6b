import { isIP } from "node:net";
import { resolve } from "node:path";
import type { AdapterConfiguration } from "../settings.ts";
import { adaptersFrom } from "./adapters.ts";
import { oauthFrom } from "./oauth.ts";
import type { Config, Limits } from "./config.ts";
import { credentialsFrom } from "./credentials.ts";
import { createEnvironment, type Env, type Environment, isolatedEnvFrom } from "./environment.ts";
import { encryptionFrom } from "./encryption.ts";
import { checkExposure } from "./exposure.ts";
import { configFromObject, readConfigFile } from "./file.ts";
import type { ConfigFile } from "./file.ts";
import { callersFrom } from "./keys.ts";
import { otelFrom } from "./otel.ts";
import { downstreamTlsFrom, engineTlsFrom } from "./peer-tls.ts";
import { pluginsFrom } from "./plugins.ts";
import type { FileConfig } from "./schema.ts";
import type { Tool } from "../plugin/tool.ts";
import { Secret } from "../secret.ts";
import {
  checkAddresses,
  checkHosts,
  checkOrigins,
  isHostName,
  list,
  pick,
  pickSecret,
  storeUrl,
  wholeNumber,
  word,
} from "./values.ts";
import { tlsFrom } from "./tls.ts";
import { unknownVariables } from "./variables.ts";

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** Sources of the configuration. */
export interface ConfigSources {
  /** Environment variables. They take precedence over the file. */
  readonly env: Env;
  /** Base folder of relative paths in variables, and folder of the default file. */
  readonly cwd: string;
  /** The adapters of the service. */
  readonly adapters: readonly AdapterConfiguration[];
  /**
   * Reads the JSON Schema of the file, which ships with the package: generating it takes a tenth of the startup time.
   */
  readonly schema: () => object;
  /** A configuration object to use instead of a file. Validated against the same schema. */
  readonly settings?: unknown;
  /** Tools passed as objects, by the placeholder names in `plugins[].use`. */
  readonly tools?: ReadonlyMap<string, Tool>;
}

/**
 * Resolves and validates the configuration from variables and file. Problems are in `environment.problems`, one
 * sentence each; loading plugins may add more. Relative paths in the file are resolved against its folder.
 */
export function resolveConfig({ env, cwd, adapters, schema, settings, tools = new Map() }: ConfigSources): Config {
  const problems: string[] = [];
  const environment = createEnvironment(env, cwd, problems);
  const file =
    settings === undefined
      ? readConfigFile(environment, cwd, schema)
      : configFromObject(settings, environment, cwd, schema);
  const { content } = file;
  const fileIsGood = problems.length === 0;

  const plugins = pluginsFrom(file, tools);
  const dataDir = dataDirFrom(environment, file, cwd);
  const privateAddresses = list(environment, "JACKFIELD_PRIVATE_ADDRESSES", content.privateAddresses);
  checkAddresses(environment, privateAddresses.key, privateAddresses.items);
  const allowedHosts = list(environment, "JACKFIELD_ALLOWED_HOSTS", content.allowedHosts);
  checkHosts(environment, allowedHosts.key, allowedHosts.items);
  const reserved = ["local", ...adapters.map(({ name }) => name)];
  const engineUrl = engineFrom(environment, content);

  // Adapters with their own keys are sources under their names; the others serve the callers themselves.
  const sources = ["local", ...adapters.filter(({ openUnless }) => openUnless !== undefined).map(({ name }) => name)];
  const callers = callersFrom(environment, content, sources);

  const parts = {
    file: file.path,
    host: hostFrom(environment, content),
    port: wholeNumber(environment, "PORT", 0, 65_535, content.port ?? 8080),
    tls: tlsFrom(environment, file),
    dataDir,
    engineUrl: engineUrl === undefined ? undefined : new Secret(engineUrl),
    engineTls: engineTlsFrom(environment, file, engineUrl),
    downstreamTls: downstreamTlsFrom(environment, file),
    engineMayLoseWork: content.engine?.mayLoseWork ?? false,
    plugins,
    adapters: adaptersFrom(environment, content, adapters),
    callers,
    oauth: oauthFrom(environment, content, callers, reserved),
    rpc: {
      allowUnauthenticated: content.rpc?.allowUnauthenticated ?? false,
      corsOrigins: content.rpc?.corsOrigins ?? [],
    },
    ...retentionFrom(environment, content),
    encryption: encryptionFrom(environment, content),
    shutdown: { delayMs: content.shutdown?.delayMs ?? 0 },
    delivery: { retryForMs: content.delivery?.retryForMs ?? 3_600_000 },
    limits: limitsFrom(content),
    credentials: credentialsFrom(
      environment,
      content,
      adapters.flatMap(({ credentials = [] }) => credentials),
    ),
    inFlight: inFlightFrom(environment, content),
    prices: { tools: content.prices?.tools ?? {}, callers: content.prices?.callers ?? {} },
    privateAddresses: privateAddresses.items,
    allowedHosts: allowedHosts.items,
    auditFile: auditFrom(environment, file, cwd, dataDir),
    logLevel: word(environment, "LOG_LEVEL", logLevels, content.logLevel ?? "info"),
    otel: otelFrom(environment),
    sandbox: sandboxFrom(environment, content),
    isolatedEnv: isolatedEnvFrom(env),
    environment,
  };
  const exposure = checkExposure(parts);
  // The keys in a broken file are unknown, so reporting them as missing might be wrong.
  if (fileIsGood) problems.push(...exposure.problems);
  const noTools = plugins.length === 0 && content.plugins === undefined ? [noToolsWarning] : [];
  return { ...parts, warnings: [...noTools, ...unknownVariables(env), ...exposure.warnings] };
}

/**
 * Resolves only the place of the audit log. Adds problems of the file to `problems`, unless a variable names the place.
 */
export function resolveAuditFile(
  { env, cwd, schema }: Pick<ConfigSources, "env" | "cwd" | "schema">,
  problems: string[],
): string {
  const environment = createEnvironment(env, cwd, problems);
  const named = environment.get("JACKFIELD_AUDIT_FILE");
  if (named !== undefined) return named === "-" ? named : resolve(cwd, named);
  const file = readConfigFile(environment, cwd, schema);
  return auditFrom(environment, file, cwd, dataDirFrom(environment, file, cwd));
}

const noToolsWarning =
  "No tool is installed: write one with `jackfield new-tool NAME`, or install one, such as `npm install @jackfield/get-weather`.";

function pathOf(
  environment: Environment,
  variable: string,
  fileValue: string | undefined,
  file: ConfigFile,
  cwd: string,
): string | undefined {
  const own = environment.get(variable);
  if (own !== undefined) return resolve(cwd, own);
  return fileValue === undefined ? undefined : resolve(file.folder, fileValue);
}

function dataDirFrom(environment: Environment, file: ConfigFile, cwd: string): string {
  return pathOf(environment, "JACKFIELD_DATA_DIR", file.content.dataDir, file, cwd) ?? resolve(cwd, ".data");
}

function auditFrom(environment: Environment, file: ConfigFile, cwd: string, dataDir: string): string {
  if ((environment.get("JACKFIELD_AUDIT_FILE") ?? file.content.auditFile) === "-") return "-";
  return (
    pathOf(environment, "JACKFIELD_AUDIT_FILE", file.content.auditFile, file, cwd) ?? resolve(dataDir, "audit.jsonl")
  );
}

function hostFrom(environment: Environment, file: FileConfig): string {
  const source = pick(environment, "HOST", "host", file.host);
  if (source === undefined) return "127.0.0.1";
  const host = source.text.replace(/^\[(.*)\]$/, "$1");
  if (!isHostName(host) && isIP(host) === 0) {
    environment.problem(`${source.key} must be a host name or an address; found ${JSON.stringify(source.text)}.`);
    return "127.0.0.1";
  }
  return host;
}

function engineFrom(environment: Environment, file: FileConfig): string | undefined {
  const own = pickSecret(environment, "JACKFIELD_ENGINE_URL", "engine.url", file.engine?.url);
  if (own !== undefined) return storeUrl(environment, own, ["redis:", "rediss:", "postgres:", "postgresql:"]);
  return storeUrl(environment, pickSecret(environment, "REDIS_URL", "REDIS_URL", undefined), ["redis:", "rediss:"]);
}

/** Reads the retention of calls and jobs. */
function retentionFrom(
  environment: Environment,
  { ledger = {}, jobs = {} }: FileConfig,
): Pick<Config, "ledger" | "jobs"> {
  const { windowHours = 24, uncertainHours = 7 * windowHours, readEntries = 10_000 } = ledger;
  if (uncertainHours < windowHours)
    environment.problem(
      `ledger.uncertainHours must be at least ledger.windowHours (${windowHours}); found ${uncertainHours}.`,
    );
  return {
    ledger: { windowHours, uncertainHours, readEntries },
    jobs: { deadHours: jobs.deadHours ?? 7 * windowHours },
  };
}

function inFlightFrom(environment: Environment, file: FileConfig): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const [origin, { inFlight }] of Object.entries(file.downstreams ?? {})) {
    checkOrigins(environment, "downstreams", [origin]);
    if (inFlight !== undefined) limits[origin] = inFlight;
  }
  return limits;
}

function limitsFrom(file: FileConfig): Limits {
  return {
    bodyBytes: 1_048_576,
    argumentsBytes: 262_144,
    depth: 32,
    callsPerRequest: 64,
    outputBytes: 65_536,
    downstreamBytes: 2_097_152,
    streamsPerConnection: 100,
    ...file.limits,
  };
}

function sandboxFrom(environment: Environment, file: FileConfig): Config["sandbox"] {
  const modes = ["auto", "true", "false"] as const;
  const found = word(environment, "JACKFIELD_SANDBOX", modes, `${file.sandbox ?? "auto"}`);
  if (found !== "auto") return found === "true";
  return environment.get("NODE_ENV") === "production" ? false : "auto";
}
