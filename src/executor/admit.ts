import type { CompiledTool } from "../registry/registry.ts";
import type { Cancellation } from "./run.ts";

/** Places of one tool: executions side by side, and a short queue for them. */
interface Gate {
  running: number;
  readonly waiting: (() => void)[];
  /** Moving average of how long a scope is held, in milliseconds. */
  heldMs: number;
}

/** Answer to `admit`: go on (call `release` at the end), or how many seconds to wait before trying again. */
export type Admission = { admitted: true } | { admitted: false; retryAfterSeconds: number };

/** Admits executions: a bounded number per tool side by side, a bounded number waiting, all others refused at once. */
export interface Admissions {
  /** Resolves when there is a scope or the call is cancelled; answers synchronously where that is known at once. */
  admit(tool: CompiledTool, cancellation: Cancellation): Admission | Promise<Admission>;
  release(tool: CompiledTool, heldMs: number): void;
  /** Executions that wait for a scope, by tool. */
  waiting(): { tool: string; count: number }[];
}

const admitted: Admission = { admitted: true };

/** Stage 6. Creates the gates of all tools; they go by name, so a replaced tool keeps its scope count. */
export function createAdmissions(): Admissions {
  const gates = new Map<string, Gate>();
  const gateOf = (name: string): Gate => {
    let gate = gates.get(name);
    if (gate === undefined) gates.set(name, (gate = { running: 0, waiting: [], heldMs: 0 }));
    return gate;
  };
  return {
    admit(tool, cancellation) {
      const gate = gateOf(tool.name);
      if (gate.running < tool.concurrency) {
        gate.running++;
        return admitted;
      }
      if (gate.waiting.length >= tool.queue) return refusal(gate, tool);
      return queued(gate, tool, cancellation);
    },
    release(tool, heldMs) {
      const gate = gateOf(tool.name);
      gate.heldMs += (heldMs - gate.heldMs) / 8;
      const next = gate.waiting.shift();
      if (next === undefined) gate.running--;
      else next();
    },
    waiting: () => [...gates].map(([tool, gate]) => ({ tool, count: gate.waiting.length })),
  };
}

function refusal(gate: Gate, tool: CompiledTool): Admission {
  const seconds = Math.ceil((gate.heldMs * (gate.waiting.length + 1)) / Math.max(1, tool.concurrency) / 1000);
  return { admitted: false, retryAfterSeconds: Math.min(60, Math.max(1, seconds)) };
}

/** Waits in the queue, no longer than the tool may run: a scope that late would help nobody. */
function queued(gate: Gate, tool: CompiledTool, cancellation: Cancellation): Promise<Admission> {
  return new Promise((resolve) => {
    const leave = (): void => {
      const position = gate.waiting.indexOf(enter);
      if (position < 0) return;
      gate.waiting.splice(position, 1);
      settle(refusal(gate, tool));
    };
    const timer = setTimeout(leave, tool.timeoutMs);
    const settle = (admission: Admission): void => {
      clearTimeout(timer);
      resolve(admission);
    };
    const enter = (): void => settle(admitted);
    gate.waiting.push(enter);
    cancellation.onCancel(leave);
  });
}
