import { bundledPlugins } from "../config/plugins.ts";
import type { Config } from "../config/config.ts";
import { PluginError } from "../registry/compile-tool.ts";
import { createRegistry } from "../registry/create-registry.ts";
import { loadPlugin } from "../registry/load-plugin.ts";
import { openTool } from "../registry/open-tool.ts";
import type { Registry } from "../registry/registry.ts";

/** Plugins that cannot be used: one sentence each. */
export class PluginLoadError extends Error {
  override readonly name: string = "PluginLoadError";
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join("\n"));
    this.faults = faults;
  }
}

/** Loads, checks and, where `open` is set, opens all configured plugins. Throws PluginLoadError: never half of them. */
export async function loadTools(config: Config, open: boolean): Promise<Registry> {
  const bundled = new Set(bundledPlugins);
  const loaded = await Promise.allSettled(config.plugins.map((plugin) => loadPlugin(plugin, bundled.has(plugin.use))));
  const faults: string[] = [];
  const names = new Map<string, string>();
  for (const [index, one] of loaded.entries()) {
    const { use } = config.plugins[index] ?? { use: "" };
    if (one.status === "rejected") {
      const reason = one.reason as Error;
      faults.push(reason instanceof PluginError ? placed(reason.message, use) : `Plugin ${use}: ${reason.message}`);
      continue;
    }
    const { name } = one.value.tool;
    const first = names.get(name);
    if (first !== undefined) faults.push(`Plugin ${use}: its tool ${name} is already carried by ${first}.`);
    else names.set(name, use);
  }
  if (faults.length > 0) throw new PluginLoadError(faults);
  const registry = createRegistry();
  const good = loaded.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  const tools = await Promise.all(
    good.map(async ({ tool, definition, url }) => {
      if (!open) return tool;
      if (tool.isolation !== "worker") return openTool(tool, definition);
      // With its thread pool, which most configurations need not load.
      const { isolateTool } = await import("../isolation/isolate.ts");
      return isolateTool(tool, { url });
    }),
  );
  for (const tool of tools) registry.put(tool);
  return registry;
}

/** The sentence with the plugin as the configuration lists it: what is wrong with a tool is told by the tool's name. */
function placed(sentence: string, use: string): string {
  return sentence.startsWith(`Plugin ${use}: `)
    ? sentence
    : sentence.replace(/^Plugin ([^:]*): /, (_, tool: string) => `Plugin ${use}, tool ${tool}: `);
}
