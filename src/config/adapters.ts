import type { AdapterConfiguration, AdapterSettings } from "../settings.ts";
import type { Environment } from "./environment.ts";
import { readSettings } from "./read-settings.ts";
import type { FileConfig } from "./schema.ts";

/** The settings of one adapter, and the sandbox part that may stand in for its platform. */
export interface ConfiguredAdapter {
  readonly configuration: AdapterConfiguration;
  readonly settings: AdapterSettings;
  /** Undefined if the platform is configured, or the sandbox has no part for it. */
  readonly sandboxPart: string | undefined;
}

/** Reads the settings of all adapters. */
export function adaptersFrom(
  environment: Environment,
  file: FileConfig,
  configurations: readonly AdapterConfiguration[],
): Readonly<Record<string, ConfiguredAdapter>> {
  return Object.fromEntries(
    configurations.map((configuration) => [configuration.name, adapterFrom(environment, file, configuration)]),
  );
}

function adapterFrom(
  environment: Environment,
  file: FileConfig,
  configuration: AdapterConfiguration,
): ConfiguredAdapter {
  const { name, defaults, settings: declared, sandbox } = configuration;
  const entry: Partial<AdapterSettings> & Record<string, unknown> = file.adapters?.[name] ?? {};
  const given = readSettings(declared, { environment, file: entry, at: `adapters.${name}`, keyName: name });
  // If the RPC may be open, an adapter for its callers exposes nothing more.
  const rpcMayBeOpen = file.rpc?.allowUnauthenticated ?? false;
  const common: AdapterSettings = {
    answerWithinMs: entry.answerWithinMs ?? defaults.answerWithinMs,
    sanitize: entry.sanitize ?? "text",
    maxOutput: entry.maxOutput ?? defaults.maxOutput,
    allowUnauthenticated: entry.allowUnauthenticated ?? (configuration.openUnless === undefined && rpcMayBeOpen),
    enabled: entry.enabled ?? true,
  };
  const settings = { ...common, ...configuration.complete(given, environment.problem) };
  const configured = sandbox?.unless.some((key) => Object.hasOwn(given, key)) ?? true;
  return { configuration, settings, sandboxPart: common.enabled && !configured ? sandbox?.part : undefined };
}
