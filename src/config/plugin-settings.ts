import { join } from "node:path";
import type { JsonSchema } from "../plugin/tool.ts";
import type { Config, PluginConfig } from "./config.ts";
import { httpUrl, storeUrl } from "./values.ts";

/** A required setting of a plugin that neither the file nor a variable provides. */
export interface MissingSetting {
  readonly key: string;
  /** The variable that can provide it. */
  readonly env: string | undefined;
  /** The sandbox part that can stand in. */
  readonly sandbox: string | undefined;
  readonly required: boolean;
  readonly type: unknown;
}

/** A plugin's settings, completed from variables, and the settings that are still missing. */
export interface PluginSettings {
  readonly plugin: PluginConfig;
  /** The credential named in its `config`. */
  readonly credential: string | undefined;
  readonly missing: readonly MissingSetting[];
}

/**
 * Completes settings that the file does not provide, by the annotations of the plugin's `configSchema`: `env` names a
 * variable, `schemes` the schemes of a URL that may contain credentials, `folder` a folder in the data folder, and
 * `sandbox` the sandbox part that can stand in.
 */
export function completePlugin(
  plugin: PluginConfig,
  configSchema: JsonSchema | undefined,
  { environment, dataDir }: Pick<Config, "environment" | "dataDir">,
): PluginSettings {
  const config: Record<string, unknown> = { ...plugin.config };
  const secretPaths = [...plugin.secretPaths];
  const missing: MissingSetting[] = [];
  const credential = credentialOf(config, configSchema);
  const required = new Set(Array.isArray(configSchema?.["required"]) ? (configSchema["required"] as string[]) : []);
  for (const [key, schema] of Object.entries((configSchema?.["properties"] ?? {}) as Record<string, JsonSchema>)) {
    if (Object.hasOwn(config, key)) continue;
    const { env, folder, sandbox, secret } = schema;
    const value = typeof env === "string" ? variableOf(env, schema, environment) : undefined;
    if (value !== undefined) {
      config[key] = value;
      if (secret === true) secretPaths.push(`/${key}`);
    } else if (typeof folder === "string") config[key] = join(dataDir, folder);
    else {
      missing.push({
        key,
        env: typeof env === "string" ? env : undefined,
        sandbox: typeof sandbox === "string" ? sandbox : undefined,
        required: required.has(key),
        type: schema["type"],
      });
    }
  }
  return { plugin: { ...plugin, config, secretPaths }, missing, credential };
}

/**
 * Removes `credentials: NAME` from a plugin's config, because the core evaluates it, unless the plugin declares such a
 * setting itself.
 */
function credentialOf(config: Record<string, unknown>, configSchema: JsonSchema | undefined): string | undefined {
  const { credentials } = config;
  const own = configSchema?.["properties"] as Record<string, unknown> | undefined;
  if (typeof credentials !== "string" || (own !== undefined && Object.hasOwn(own, "credentials"))) return undefined;
  delete config["credentials"];
  return credentials;
}

function variableOf(name: string, schema: JsonSchema, environment: Config["environment"]): string | undefined {
  const text = schema["secret"] === true ? environment.secret(name) : environment.get(name);
  if (text === undefined) return undefined;
  const source = { key: name, text };
  // A URL that may contain credentials is never shown in a problem.
  if (schema["format"] === "uri") return httpUrl(environment, source);
  const schemes = schema["schemes"];
  return Array.isArray(schemes) ? storeUrl(environment, source, schemes as string[]) : text;
}
