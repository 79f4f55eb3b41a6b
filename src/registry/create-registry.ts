import type { CompiledTool, Registry } from "./registry.ts";

/** Timeout of a tool's readiness check, in milliseconds. */
const readyTimeoutMs = 750;

/** Timeout for closing tools, in milliseconds. */
const closeTimeoutMs = 2000;

/** Creates the registry of loaded tools. */
export function createRegistry(): Registry {
  const configured = new Map<string, CompiledTool>();
  const registered = new Map<string, Map<string, CompiledTool>>();
  /** Sorted lists by tenant; "" holds the configured tools only. Cleared at each change. */
  const lists = new Map<string, readonly CompiledTool[]>();
  const toolsOf = (tenant: string | undefined): Map<string, CompiledTool> => {
    if (tenant === undefined) return configured;
    let tools = registered.get(tenant);
    if (tools === undefined) registered.set(tenant, (tools = new Map()));
    return tools;
  };
  const all = (): CompiledTool[] => [configured, ...registered.values()].flatMap((tools) => [...tools.values()]);
  return {
    get: (name, tenant) =>
      configured.get(name) ?? (tenant === undefined ? undefined : registered.get(tenant)?.get(name)),
    list(tenant = "") {
      let list = lists.get(tenant);
      if (list === undefined) {
        const tools = new Map([...(registered.get(tenant) ?? []), ...configured]);
        list = [...tools.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
        // Tenants without registered tools get no entry, because their number is unbounded.
        if (tenant === "" || registered.has(tenant)) lists.set(tenant, list);
      }
      return list;
    },
    put(tool, tenant) {
      toolsOf(tenant).set(tool.name, tool);
      lists.clear();
    },
    remove(name, tenant) {
      lists.clear();
      const tools = toolsOf(tenant);
      const found = tools.delete(name);
      if (tenant !== undefined && tools.size === 0) registered.delete(tenant);
      return found;
    },
    async check() {
      const problems: string[] = [];
      const notes: string[] = [];
      await Promise.all(
        all().map(async (tool) => {
          // `ready` also retries a failed `open`.
          const problem = await readinessProblem(tool);
          if (problem !== undefined)
            (tool.required ? problems : notes).push(`tool ${tool.name}: ${tool.redact(problem)}`);
        }),
      );
      return { problems: problems.sort(), notes: notes.sort() };
    },
    async close() {
      const closed = Promise.allSettled(all().map((tool) => tool.close()));
      // A tool that takes longer is abandoned; the process's end closes it.
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, closeTimeoutMs);
      await Promise.race([closed, late]);
      clearTimeout(timer);
    },
  };
}

async function readinessProblem(tool: CompiledTool): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve(`does not answer within ${readyTimeoutMs} ms`), readyTimeoutMs);
  try {
    return await Promise.race([tool.ready().then(() => undefined), promise]);
  } catch (reason) {
    return reason instanceof Error ? reason.message : String(reason);
  } finally {
    clearTimeout(timer);
  }
}
