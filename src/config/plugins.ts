import { createRequire } from "node:module";
import { resolve } from "node:path";
import type { Tool } from "../plugin/tool.ts";
import type { PluginConfig } from "./config.ts";
import type { ConfigFile } from "./file.ts";

/** Returns the bundled tools in load order: `jackfield.tools` of the package's manifest. */
export function bundledPlugins(): readonly string[] {
  const manifest = createRequire(import.meta.url)("jackfield/package.json") as { jackfield?: { tools?: string[] } };
  return manifest.jackfield?.tools ?? [];
}

/**
 * Lists the plugins to load, with their settings from the file. Variables that a plugin declares are read when it is
 * loaded.
 */
export function pluginsFrom(file: ConfigFile, tools: ReadonlyMap<string, Tool>): PluginConfig[] {
  const listed =
    file.content.plugins ??
    bundledPlugins()
      .filter(isInstalled)
      .map((use) => ({ use }));
  return listed.map((entry: NonNullable<typeof file.content.plugins>[number], index) => {
    const prefix = `/plugins/${index}/config`;
    const { timeoutMs, concurrency, queue } = entry.limits ?? {};
    const tool = tools.get(entry.use);
    return {
      use: tool?.name ?? (entry.use.startsWith(".") ? resolve(file.folder, entry.use) : entry.use),
      tool,
      config: { ...entry.config },
      secretPaths: [...file.secretPaths]
        .filter((path) => path.startsWith(`${prefix}/`))
        .map((path) => path.slice(prefix.length)),
      limits: {
        ...(timeoutMs !== undefined && { timeoutMs }),
        ...(concurrency !== undefined && { concurrency }),
        ...(queue !== undefined && { queue }),
      },
      sanitize: entry.sanitize,
      isolation: entry.isolation,
      required: entry.required ?? false,
      retry: entry.retry && {
        ...(entry.retry.retries !== undefined && { retries: entry.retry.retries }),
        ...(entry.retry.baseMs !== undefined && { baseMs: entry.retry.baseMs }),
        ...(entry.retry.maxMs !== undefined && { maxMs: entry.retry.maxMs }),
      },
      answerWithinMs: entry.answerWithinMs,
      fallbackMessage: entry.fallbackMessage,
      repeatWindowMs: entry.repeatWindowMs,
    };
  });
}

/** Reports whether a package can be imported: bundled plugins are separate packages that may be left out. */
function isInstalled(name: string): boolean {
  try {
    import.meta.resolve(name);
    return true;
  } catch {
    return false;
  }
}
