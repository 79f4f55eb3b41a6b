import { ConfigError } from "../config/config-error.ts";
import type { Config, PluginConfig } from "../config/config.ts";
import { completePlugin } from "../config/plugin-settings.ts";
import { schemaOfConfig } from "../registry/compile-tool.ts";
import { PluginError } from "../registry/plugin-error.ts";
import { importPlugin, type LoadedPlugin } from "../registry/load-plugin.ts";
import type { Prepared, PreparedPlugin } from "./prepared.ts";
import { sandboxParts } from "./sandbox-parts.ts";

/**
 * Imports all plugins, reads the variables that they declare, and decides which parts the sandbox simulates. Throws a
 * ConfigError with one sentence per problem of the configuration and its plugins.
 */
export async function prepare(config: Config): Promise<Prepared> {
  const imported = await Promise.allSettled(config.plugins.map(importOne));
  const plugins = imported.flatMap((one, index): PreparedPlugin[] => {
    if (one.status === "rejected") return [];
    const schema = schemaOfConfig(one.value.tool);
    const { plugin, missing, credential } = completePlugin(config.plugins[index] as PluginConfig, schema, config);
    return [{ settings: plugin, missing, credential, module: one.value }];
  });
  const known = [
    ...Object.keys(config.credentials),
    ...Object.values(config.adapters).flatMap(({ configuration }) => configuration.credentials ?? []),
  ];
  for (const { settings, credential } of plugins) {
    if (credential === undefined || known.includes(credential)) continue;
    config.environment.problem(
      `Plugin ${settings.use}: its config.credentials must name one of ${known.join(", ")}; found ${JSON.stringify(credential)}.`,
    );
  }
  const unusable = imported.flatMap((one) => (one.status === "rejected" ? [(one.reason as Error).message] : []));
  const problems = [...config.environment.problems, ...unusable];
  if (problems.length > 0) throw new ConfigError(problems);
  const complete = { ...config, plugins: plugins.map(({ settings }) => settings) };
  return { config: complete, plugins, sandboxParts: sandboxParts(complete, plugins) };
}

async function importOne({ use, tool, isolation }: PluginConfig): Promise<LoadedPlugin> {
  if (tool === undefined) return importPlugin(use);
  if (isolation !== undefined && isolation !== "none")
    throw new PluginError({
      code: "bad-config",
      plugin: use,
      reason: "a tool that is given by object cannot be isolated: give a package or a path",
    });
  return { tool, version: "", url: "" };
}
