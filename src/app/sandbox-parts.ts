import type { Config } from "../config/config.ts";
import { hasSecret } from "../config/describe-config.ts";
import type { Prepared, PreparedPlugin } from "./prepared.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";

/** URLs of the sandbox's servers, by part. A part without a server has no URL. */
export type SandboxUrls = Readonly<Record<string, string>>;

/** The part that fills embedded databases with sample rows. It has no server. */
const sampleData = "inventory";

/** Returns the sandbox parts that stand in for missing settings; none if the configuration disables the sandbox. */
export function sandboxParts(config: Config, plugins: readonly PreparedPlugin[]): ReadonlySet<string> {
  const allowed = config.sandbox === "auto" ? !hasKeys(config, plugins) : config.sandbox;
  if (!allowed) return new Set();
  const ofPlugins = plugins.flatMap(({ missing }) => missing.map(({ sandbox }) => sandbox));
  const ofAdapters = Object.values(config.adapters).map(({ sandboxPart }) => sandboxPart);
  return new Set([...ofPlugins, ...ofAdapters].filter((part) => part !== undefined));
}

/** Reports whether a key of any kind is configured: of a caller, an adapter, a platform or a tool. */
function hasKeys(config: Config, plugins: readonly PreparedPlugin[]): boolean {
  if (config.callers.length > 0) return true;
  if (Object.values(config.adapters).some(({ settings }) => hasSecret(settings))) return true;
  return plugins.some(({ settings }) =>
    // A database URL is not a key, although it may contain a password.
    settings.secretPaths.some((path) => !URL.canParse(String(settings.config[path.slice(1)]))),
  );
}

/** Starts the parts. A service that needs none does not load the sandbox's code. */
export async function startSandboxParts(parts: ReadonlySet<string>): Promise<Pick<Sandbox, "urls" | "close">> {
  if (parts.size === 0) return { urls: {}, close: async () => {} };
  const { startSandbox } = await import("../sandbox/sandbox.ts");
  return startSandbox({ parts });
}

/** Completes the configuration with the URLs of the started sandbox parts. */
export function withSandbox(prepared: Prepared, urls: SandboxUrls): Prepared {
  const { config, sandboxParts: parts } = prepared;
  const plugins = prepared.plugins.map((plugin) => {
    const filled: Record<string, unknown> = {};
    for (const { key, sandbox, type } of plugin.missing) {
      if (sandbox === undefined) continue;
      if (type === "boolean") filled[key] = parts.has(sandbox);
      else if (parts.has(sandbox) && urls[sandbox] !== undefined) filled[key] = urls[sandbox];
    }
    const missing = plugin.missing.filter(({ key }) => !Object.hasOwn(filled, key));
    return { ...plugin, missing, settings: { ...plugin.settings, config: { ...plugin.settings.config, ...filled } } };
  });
  const adapters = Object.entries(config.adapters).map(([name, adapter]) => {
    const { configuration, settings, sandboxPart } = adapter;
    const url = sandboxPart !== undefined && parts.has(sandboxPart) ? urls[sandboxPart] : undefined;
    if (url === undefined || configuration.sandbox === undefined) return [name, adapter] as const;
    return [name, { ...adapter, settings: { ...settings, ...configuration.sandbox.play(settings, url) } }] as const;
  });
  return {
    ...prepared,
    plugins,
    config: {
      ...config,
      plugins: plugins.map(({ settings }) => settings),
      adapters: Object.fromEntries(adapters),
    },
  };
}

/** Returns one note per active sandbox part. */
export function sandboxNotes(parts: ReadonlySet<string>): string[] {
  return [...parts].map((part) =>
    part === sampleData
      ? "sandbox: the embedded inventory database contains sample rows, because none is configured"
      : `sandbox: simulates ${part}, because nothing real is configured for it`,
  );
}
