import type { Config } from "../config/config.ts";
import type { FileConfig } from "../config/schema.ts";
import type { Tool } from "../plugin/tool.ts";
import { configFromSettings } from "./load-config.ts";

/** An entry of `plugins`: a tool, a package or path, or one of them with its settings. */
export type PluginEntry = Tool | string | (Omit<PluginEntrySettings, "use"> & { readonly use: Tool | string });

type PluginEntrySettings = NonNullable<FileConfig["plugins"]>[number];

/**
 * The configuration by object: the keys of the configuration file, with the same checks and the same defaults. Tools may
 * stand in `plugins` themselves.
 */
export interface JackfieldSettings extends Omit<FileConfig, "plugins"> {
  readonly plugins?: readonly PluginEntry[];
}

/** Where settings by object take variables and relative paths from. */
export interface SettingsOrigin {
  /** Variables of the service, as the process has them. None when left out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Folder that relative paths count from. The working directory when left out. */
  readonly cwd?: string;
}

/** Resolves settings by object. Throws a ConfigError with one sentence per problem. */
export function configFromObject(
  settings: JackfieldSettings,
  { env = {}, cwd = process.cwd() }: SettingsOrigin,
): Config {
  const tools = new Map<string, Tool>();
  const plugins = settings.plugins?.map((entry) => {
    const { use, ...rest } = typeof entry === "object" && "use" in entry ? entry : { use: entry };
    if (typeof use === "string") return { ...rest, use };
    // A name that no package and no path can have.
    const stand = `tool ${tools.size + 1}`;
    tools.set(stand, use);
    return { ...rest, use: stand };
  });
  const content = plugins === undefined ? settings : { ...settings, plugins };
  return configFromSettings(content, tools, { env, cwd });
}
