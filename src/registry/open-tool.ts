import type { CompiledTool } from "./registry.ts";
import type { Tool } from "../plugin/tool.ts";
import { PluginError } from "./plugin-error.ts";

/**
 * Opens a tool: runs its `open` once. If that fails, the tool is still offered, its calls fail at once, and readiness
 * shows the reason; a required tool makes the service not ready. Every readiness check tries `open` again.
 */
export async function openTool(tool: CompiledTool, definition: Tool): Promise<CompiledTool> {
  let isOpen = false;
  const opened = {
    ...tool,
    state: undefined as unknown,
    problem: undefined as string | undefined,
    async ready() {
      if (!isOpen) await open();
      if (opened.problem !== undefined) throw new PluginError({ code: "not-open", reason: opened.problem });
      await definition.ready?.(opened.state);
    },
    async close() {
      if (isOpen) await definition.close?.(opened.state);
    },
  };
  const open = async (): Promise<void> => {
    try {
      opened.state = await definition.open?.(tool.config);
      isOpen = true;
      opened.problem = undefined;
    } catch (reason) {
      opened.problem = `it cannot be opened: ${reason instanceof Error ? reason.message : String(reason)}`;
    }
  };
  await open();
  return opened;
}
