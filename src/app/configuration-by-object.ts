import type { Config } from "../config/config.ts";
import type { FileConfig } from "../config/schema.ts";
import type { Tool } from "../plugin/tool.ts";
import { configFromSettings } from "./load-config.ts";

/** An entry of `plugins`: a tool, a package or path, or an object with one of them and its settings. */
export type PluginEntry = Tool | string | (Omit<PluginEntrySettings, "use"> & { readonly use: Tool | string });

type PluginEntrySettings = NonNullable<FileConfig["plugins"]>[number];

/**
 * The configuration as an object: the keys of the configuration file, with the same checks and defaults. `plugins` may
 * also contain the tools themselves.
 */
export interface JackfieldSettings extends Omit<FileConfig, "plugins"> {
  readonly plugins?: readonly PluginEntry[];
}

/** Source of variables and base of relative paths for a configuration object. */
export interface SettingsOrigin {
  /** Environment variables of the service; none by default. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Base folder of relative paths; the working directory by default. */
  readonly cwd?: string;
}

/** Resolves a configuration object. Throws a ConfigError with one sentence per problem. */
export function configFromObject(
  settings: JackfieldSettings,
  { env = {}, cwd = process.cwd() }: SettingsOrigin,
): Config {
  const tools = new Map<string, Tool>();
  const plugins = settings.plugins?.map((entry) => {
    const { use, ...rest } = typeof entry === "object" && "use" in entry ? entry : { use: entry };
    if (typeof use === "string") return { ...rest, use };
    // Placeholder name, which cannot be a package or a path.
    const placeholder = `tool ${tools.size + 1}`;
    tools.set(placeholder, use);
    return { ...rest, use: placeholder };
  });
  const content = plugins === undefined ? settings : { ...settings, plugins };
  return configFromSettings(content, tools, { env, cwd });
}
