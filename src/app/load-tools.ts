import { bundledPlugins } from "../config/plugins.ts";
import { type CompiledTool, type Registry } from "../registry/registry.ts";
import { compileTool } from "../registry/compile-tool.ts";
import { PluginError } from "../registry/plugin-error.ts";
import { createRedact } from "../registry/tool-secrets.ts";
import { createRegistry } from "../registry/create-registry.ts";
import type { Credential } from "../outbound/http.ts";
import { openTool } from "../registry/open-tool.ts";
import { type CompileSchema, createSchemaCompiler } from "../schema/compile-schema.ts";
import { errorMessage } from "../error-message.ts";
import { ConfigError } from "../config/config-error.ts";
import type { Env } from "../config/environment.ts";
import type { PreparedPlugin } from "./prepared.ts";

/**
 * Compiles all plugins and, if `open` is set, opens them. `isolatedEnv` holds the variables of isolated plugins. Throws
 * a ConfigError if any plugin fails.
 */
export async function loadTools(
  plugins: readonly PreparedPlugin[],
  open: boolean,
  credentials: Readonly<Record<string, Credential>> = {},
  isolatedEnv: Env = {},
): Promise<Registry> {
  const bundled = new Set(bundledPlugins());
  const problems: string[] = [];
  const names = new Map<string, string>();
  const compiled: { tool: CompiledTool; plugin: PreparedPlugin }[] = [];
  const compileSchema = createSchemaCompiler();
  for (const plugin of plugins) {
    const { use } = plugin.settings;
    try {
      const tool = compile(plugin, bundled.has(use), open ? credentials : undefined, compileSchema);
      const first = names.get(tool.name);
      if (first !== undefined) problems.push(`Plugin ${use}: its tool ${tool.name} is already provided by ${first}.`);
      names.set(tool.name, first ?? use);
      compiled.push({ tool, plugin });
    } catch (error) {
      problems.push(
        error instanceof PluginError ? error.ofPlugin(use).message : `Plugin ${use}: ${errorMessage(error)}`,
      );
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  const registry = createRegistry();
  const tools = await Promise.all(
    compiled.map(async ({ tool, plugin: { module } }) => {
      if (!open || tool.problem !== undefined) return tool;
      if (tool.isolation === "none") return openTool(tool, module.tool);
      // Imported on demand, because most configurations do not need it.
      const { isolateTool } = await import("../isolation/isolate-tool.ts");
      return isolateTool(tool, { url: module.url, env: isolatedEnv });
    }),
  );
  for (const tool of tools) registry.put(tool);
  return registry;
}

/** Compiles a plugin. `credentials` are undefined if tools are only checked. */
function compile(
  { settings, missing, credential: name, module }: PreparedPlugin,
  bundled: boolean,
  credentials: Readonly<Record<string, Credential>> | undefined,
  compileSchema: CompileSchema,
): CompiledTool {
  const credential = name === undefined ? undefined : credentials?.[name];
  const withoutCredential =
    name !== undefined && credentials !== undefined && credential === undefined
      ? `it is not configured: the credentials ${name} are not set`
      : undefined;
  const origin = { use: settings.use, version: module.version, bundled };
  const unconfigured = missingSettings(missing) ?? withoutCredential;
  const tool = compileTool(module.tool, settings, { ...origin, unconfigured }, compileSchema);
  if (credential === undefined) return tool;
  const secrets = [...tool.secrets, ...credential.secrets];
  return { ...tool, credential, secrets, redact: createRedact(secrets) };
}

/**
 * Lists the variables that a tool still needs. A required setting that no variable provides is a problem of the file
 * instead, which prevents the start.
 */
function missingSettings(missing: PreparedPlugin["missing"]): string | undefined {
  const required = missing.filter(({ required: needed }) => needed);
  if (required.length === 0 || required.some(({ env }) => env === undefined)) return undefined;
  return `it is not configured: set ${required.map(({ env }) => env).join(" and ")}`;
}
