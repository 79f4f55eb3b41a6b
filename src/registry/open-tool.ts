import type { CompiledTool } from "./registry.ts";
import type { Tool } from "../plugin/tool.ts";
import { PluginError } from "./compile-tool.ts";

/**
 * Opens a tool: runs its `open` once. Where that fails the tool is there all the same, its calls fail at once, and its
 * fault is shown by readiness; where the tool is required the service is not ready. `open` is tried again on each look.
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
      if (fault !== undefined) throw new PluginError(fault);
      await definition.ready?.(state);
    },
    async close() {
      if (opened) await definition.close?.(state);
    },
  };
}
