import type { Config, PluginConfig } from "../config/config.ts";
import type { MissingSetting } from "../config/plugin-settings.ts";
import type { LoadedPlugin } from "../registry/load-plugin.ts";

/** An imported plugin, its settings, and the settings that are still missing. */
export interface PreparedPlugin {
  readonly settings: PluginConfig;
  readonly missing: readonly MissingSetting[];
  /** Name of the credential that the tool uses. */
  readonly credential: string | undefined;
  readonly module: LoadedPlugin;
}

/** The configuration with every plugin imported and every declared variable read. */
export interface Prepared {
  readonly config: Config;
  readonly plugins: readonly PreparedPlugin[];
  /** Parts of the sandbox to start. */
  readonly sandboxParts: ReadonlySet<string>;
}
