import { isIP } from "node:net";
import { resolve } from "node:path";
import { cognigyFrom, genesysFrom } from "./adapters.ts";
import { httpFrom, mcpFrom } from "./doors.ts";
import { oauthFrom } from "./oauth.ts";
import { ConfigError } from "./config-error.ts";
import type { Config, Limits } from "./config.ts";
import { createEnvironment } from "./environment.ts";
import type { Env, Environment } from "./environment.ts";
import { checkExposure } from "./exposure.ts";
import { readConfigFile } from "./file.ts";
import type { ConfigFile } from "./file.ts";
import { callersFrom } from "./keys.ts";
import { otelFrom } from "./otel.ts";
import { pluginsFrom, sandboxSlots } from "./plugins.ts";
import type { FileConfig } from "./schema.ts";
import { Secret } from "../secret.ts";
import {
  checkAddresses,
  checkHosts,
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

/**
 * The configuration from variables and file, complete and checked. Throws a ConfigError with one sentence per fault.
 * Relative paths count from the file's folder in the file, and from `cwd` in variables.
 */
export function loadConfig({ env, cwd }: { env: Env; cwd: string }): Config {
  const faults: string[] = [];
  const environment = createEnvironment(env, cwd, faults);
  const file = readConfigFile(environment, cwd);
  const { content } = file;
  const fileIsGood = faults.length === 0;

  const dataDir = pathOf(environment, "JACKFIELD_DATA_DIR", content.dataDir, file, cwd) ?? resolve(cwd, ".data");
  const privateAddresses = list(environment, "JACKFIELD_PRIVATE_ADDRESSES", content.privateAddresses);
  checkAddresses(environment, privateAddresses.key, privateAddresses.items);
  const allowedHosts = list(environment, "JACKFIELD_ALLOWED_HOSTS", content.allowedHosts);
  checkHosts(environment, allowedHosts.key, allowedHosts.items);
  const genesys = genesysFrom(environment, content);
  const plugins = pluginsFrom(environment, file, dataDir);
  const engineUrl = engineFrom(environment, content);

  const callers = callersFrom(environment, content);

  const parts = {
    file: file.path,
    host: hostFrom(environment, content),
    port: wholeNumber(environment, "PORT", 0, 65_535, content.port ?? 8080),
    tls: tlsFrom(environment, file),
    dataDir,
    engineUrl: engineUrl === undefined ? undefined : new Secret(engineUrl),
    engineMayLoseWork: content.engine?.mayLoseWork ?? false,
    plugins,
    adapters: {
      genesys: genesys.config,
      cognigy: cognigyFrom(environment, content),
      mcp: mcpFrom(environment, content),
      http: httpFrom(environment, content),
    },
    callers,
    oauth: oauthFrom(environment, content, callers),
    rpc: {
      allowUnauthenticated: content.rpc?.allowUnauthenticated ?? false,
      corsOrigins: content.rpc?.corsOrigins ?? [],
    },
    ledger: { windowHours: content.ledger?.windowHours ?? 24, readEntries: content.ledger?.readEntries ?? 10_000 },
    jobs: { deadHours: content.jobs?.deadHours ?? 7 * (content.ledger?.windowHours ?? 24) },
    delivery: { retryForMs: content.delivery?.retryForMs ?? 3_600_000 },
    limits: limitsFrom(content),
    prices: { tools: content.prices?.tools ?? {}, callers: content.prices?.callers ?? {} },
    privateAddresses: privateAddresses.items,
    allowedHosts: allowedHosts.items,
    auditFile: auditFrom(environment, file, cwd, dataDir),
    logLevel: word(environment, "LOG_LEVEL", logLevels, content.logLevel ?? "info"),
    otel: otelFrom(environment),
    sandbox: sandboxFor(plugins, genesys.config.enabled && !genesys.real, content.sandbox ?? true),
  };
  const exposure = checkExposure(parts);
  // What a broken file said of keys is not known: its lack would be told as a fault that there may not be.
  if (fileIsGood) faults.push(...exposure.faults);
  if (faults.length > 0) throw new ConfigError(faults);
  const noTools = plugins.length === 0 && content.plugins === undefined ? [noToolsWarning] : [];
  return { ...parts, warnings: [...noTools, ...unknownVariables(env), ...exposure.warnings] };
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
    environment.fault(`${source.key} must be a host name or an address; found ${JSON.stringify(source.text)}.`);
    return "127.0.0.1";
  }
  return host;
}

function engineFrom(environment: Environment, file: FileConfig): string | undefined {
  const own = pickSecret(environment, "JACKFIELD_ENGINE_URL", "engine.url", file.engine?.url);
  if (own !== undefined) return storeUrl(environment, own, ["redis:", "rediss:", "postgres:", "postgresql:"]);
  return storeUrl(environment, pickSecret(environment, "REDIS_URL", "REDIS_URL", undefined), ["redis:", "rediss:"]);
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

function sandboxFor(plugins: Config["plugins"], genesys: boolean, allowed: boolean): Config["sandbox"] {
  const missing = plugins.flatMap((plugin) =>
    sandboxSlots(plugin.use).filter(({ key }) => plugin.config[key] === undefined),
  );
  const part = (...names: string[]): boolean => allowed && missing.some((slot) => names.includes(slot.part));
  return { backOffice: part("backOffice"), weather: part("weather", "geocoding"), genesys: allowed && genesys };
}
