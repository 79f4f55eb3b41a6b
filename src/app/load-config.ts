import { createRequire } from "node:module";
import { platforms } from "../adapters/platforms.ts";
import { ConfigError } from "../config/config-error.ts";
import type { Config } from "../config/config.ts";
import type { Env } from "../config/environment.ts";
import { resolveAuditFile, resolveConfig } from "../config/resolve-config.ts";
import type { Tool } from "../plugin/tool.ts";

/**
 * Reads the configuration from variables and `jackfield.yaml`. Problems are collected in it: `prepare` throws them
 * together with those of plugins.
 */
export function readConfig({ env, cwd }: { env: Env; cwd: string }): Config {
  return resolveConfig({ env, cwd, adapters: platforms, schema: shippedSchema });
}

/** Reads the configuration. Throws a ConfigError with one sentence per problem. */
export function loadConfig(sources: { env: Env; cwd: string }): Config {
  const config = readConfig(sources);
  const { problems } = config.environment;
  if (problems.length > 0) throw new ConfigError(problems);
  return config;
}

/** Returns where the service writes its audit log. Throws a ConfigError if the file that may say so cannot be used. */
export function findAuditFile({ env, cwd }: { env: Env; cwd: string }): string {
  const problems: string[] = [];
  const path = resolveAuditFile({ env, cwd, schema: shippedSchema }, problems);
  if (problems.length > 0) throw new ConfigError(problems);
  return path;
}

/** Resolves a configuration object, with the same checks and defaults as a file. */
export function configFromSettings(
  settings: unknown,
  tools: ReadonlyMap<string, Tool>,
  { env, cwd }: { env: Env; cwd: string },
): Config {
  return resolveConfig({ env, cwd, adapters: platforms, schema: shippedSchema, settings, tools });
}

/** The JSON Schema that ships with the package: generating it takes a tenth of the startup time. */
function shippedSchema(): object {
  return createRequire(import.meta.url)("jackfield/config.schema.json") as object;
}
