import type { CompiledTool } from "../registry/registry.ts";

/** Reports that a waiting execution is wanted no longer. */
interface Cancellable {
  onCancel(listener: () => void): () => void;
}

/** Answer to `acquire`: undefined with a slot, or the seconds after which to try again. */
export type SlotRefusal = { readonly retryAfterSeconds: number } | undefined;

/** The slots of one tool: a bounded number of executions side by side, and a short queue. All others are refused at once. */
export interface ToolSlots {
  /**
   * Takes a slot, or waits for one: no longer than the tool may run, and until the execution is cancelled. Answers
   * synchronously where it need not wait.
   */
  acquire(tool: CompiledTool, execution: Cancellable): SlotRefusal | Promise<SlotRefusal>;
  /** Frees a slot. `ms`: how long the tool ran; undefined where it did not. */
  release(ms: number | undefined): void;
}

/** Finds the slots of a tool. They go by tenant and name, so that a tool that is replaced keeps its count. */
export type SlotsOf = (tool: CompiledTool) => ToolSlots;

/** Creates the slots of all tools. */
export function createSlots(): SlotsOf {
  const byName = new Map<string, ToolSlots>();
  return ({ name, tenant }) => {
    const key = tenant === undefined ? name : `${tenant}/${name}`;
    let slots = byName.get(key);
    if (slots === undefined) byName.set(key, (slots = createToolSlots()));
    return slots;
  };
}

/** The longest time that a refusal asks for, in seconds. */
const maxRetryAfterSeconds = 60;

function createToolSlots(): ToolSlots {
  let running = 0;
  const queue: (() => void)[] = [];
  // Moving average of how long an execution takes, in milliseconds.
  let averageMs = 0;

  function refusal(tool: CompiledTool): SlotRefusal {
    const seconds = Math.ceil((averageMs * (queue.length + 1)) / Math.max(1, tool.concurrency) / 1000);
    return { retryAfterSeconds: Math.min(maxRetryAfterSeconds, Math.max(1, seconds)) };
  }

  function enqueue(tool: CompiledTool, execution: Cancellable): Promise<SlotRefusal> {
    return new Promise((resolve) => {
      const settle = (answer: SlotRefusal): void => {
        clearTimeout(timer);
        unsubscribe();
        resolve(answer);
      };
      const enter = (): void => settle(undefined);
      const leave = (): void => {
        const position = queue.indexOf(enter);
        if (position < 0) return;
        queue.splice(position, 1);
        settle(refusal(tool));
      };
      queue.push(enter);
      // After so long a slot would help nobody.
      const timer = setTimeout(leave, tool.timeoutMs);
      const unsubscribe = execution.onCancel(leave);
    });
  }

  return {
    acquire(tool, execution) {
      if (running < tool.concurrency) {
        running++;
        return undefined;
      }
      return queue.length >= tool.queue ? refusal(tool) : enqueue(tool, execution);
    },
    release(ms) {
      if (ms !== undefined) averageMs += (ms - averageMs) / 8;
      const next = queue.shift();
      if (next === undefined) running--;
      else next();
    },
  };
}
