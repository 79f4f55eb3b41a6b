import { errorMessage } from "../error-message.ts";
import { settledWithin } from "../timing.ts";
import type { CompiledTool } from "./registry.ts";
import type { Tool } from "../plugin/tool.ts";
import { PluginError } from "./plugin-error.ts";

/** How long a start waits for `open`, in milliseconds. Then the service starts without this tool. */
export const openWaitMs = 20_000;

/**
 * Opens a tool: runs its `open` once. If that fails or takes long, the tool is still offered, its calls fail at once, and
 * readiness shows the reason; a required tool makes the service not ready. After a failure every readiness check tries
 * `open` again, one attempt at a time.
 */
export async function openTool(tool: CompiledTool, definition: Tool, waitMs = openWaitMs): Promise<CompiledTool> {
  let isOpen = false;
  let closed = false;
  let opening: Promise<void> | undefined;
  const opened = {
    ...tool,
    state: undefined as unknown,
    problem: "it is still being opened" as string | undefined,
    async ready() {
      if (!isOpen) await open();
      if (opened.problem !== undefined) throw new PluginError({ code: "not-open", reason: opened.problem });
      await definition.ready?.(opened.state);
    },
    async close() {
      closed = true;
      if (isOpen) await definition.close?.(opened.state);
    },
  };

  function open(): Promise<void> {
    return (opening ??= tryOpen().finally(() => (opening = undefined)));
  }

  async function tryOpen(): Promise<void> {
    try {
      opened.state = await definition.open?.(tool.config);
      isOpen = true;
      opened.problem = undefined;
    } catch (reason) {
      opened.problem = `it cannot be opened: ${errorMessage(reason)}`;
    }
    // The process is ending: nobody else would close what was opened so late.
    if (isOpen && closed) await definition.close?.(opened.state);
  }

  await settledWithin(open(), waitMs);
  return opened;
}
