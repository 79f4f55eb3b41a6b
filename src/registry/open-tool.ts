import type { CompiledTool } from "./registry.ts";
import type { Tool } from "../plugin/tool.ts";
import { PluginError } from "./plugin-error.ts";

/**
 * Opens a tool: runs its `open` once. If that fails, the tool is offered all the same, its calls fail at once, and
 * readiness shows why; a required tool makes the service not ready. Every readiness check tries `open` again.
 */
export async function openTool(tool: CompiledTool, definition: Tool): Promise<CompiledTool> {
  let state: unknown;
  let fault: string | undefined;
  let opened = false;
  const open = async (): Promise<void> => {
    try {
      state = await definition.open?.(tool.config);
      opened = true;
      fault = undefined;
    } catch (reason) {
      fault = `it cannot be opened: ${reason instanceof Error ? reason.message : String(reason)}`;
    }
  };
  await open();
  return {
    ...tool,
    get state() {
      return state;
    },
    fault: () => fault,
    async ready() {
      if (!opened) await open();
      if (fault !== undefined) throw new PluginError({ code: "not-open", reason: fault });
      await definition.ready?.(state);
    },
    async close() {
      if (opened) await definition.close?.(state);
    },
  };
}
