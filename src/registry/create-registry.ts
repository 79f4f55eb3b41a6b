import type { CompiledTool, Registry } from "./registry.ts";

/** Longest time that a tool may take to say whether it can work, in milliseconds. */
const readyWithinMs = 750;

/** Longest time that tools may take to close, in milliseconds. */
const closeWithinMs = 2000;

/** Creates the registry of loaded tools. */
export function createRegistry(): Registry {
  const tools = new Map<string, CompiledTool>();
  let sorted: readonly CompiledTool[] | undefined;
  return {
    get: (name) => tools.get(name),
    list: () => (sorted ??= [...tools.values()].sort((a, b) => (a.name < b.name ? -1 : 1))),
    put(tool) {
      tools.set(tool.name, tool);
      sorted = undefined;
    },
    remove(name) {
      sorted = undefined;
      return tools.delete(name);
    },
    async check() {
      const faults: string[] = [];
      const notes: string[] = [];
      await Promise.all(
        [...tools.values()].map(async (tool) => {
          // `ready` also tries again to open a tool that could not be opened.
          const fault = await readyFault(tool);
          if (fault !== undefined) (tool.required ? faults : notes).push(`tool ${tool.name}: ${tool.redact(fault)}`);
        }),
      );
      return { faults: faults.sort(), notes: notes.sort() };
    },
    async close() {
      const closed = Promise.allSettled([...tools.values()].map((tool) => tool.close()));
      // A tool that takes longer is left to the end of the process.
      const { promise: late, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, closeWithinMs);
      await Promise.race([closed, late]);
      clearTimeout(timer);
    },
  };
}

async function readyFault(tool: CompiledTool): Promise<string | undefined> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const timer = setTimeout(() => resolve(`does not answer within ${readyWithinMs} ms`), readyWithinMs);
  try {
    return await Promise.race([tool.ready().then(() => undefined), promise]);
  } catch (reason) {
    return reason instanceof Error ? reason.message : String(reason);
  } finally {
    clearTimeout(timer);
  }
}
