import { defineTool, ToolError } from "jackfield/plugin";

/** Does whatever a call tells it to, also what a plugin should not. */
export default defineTool({
  name: "unruly",
  description: "Does what it is told, good or bad.",
  inputSchema: { type: "object", properties: { how: { type: "string" }, url: { type: "string" } }, required: ["how"] },
  effect: "read",
  timeoutMs: 2000,
  open: (config) => ({ opened: Date.now(), config, calls: 0 }),
  close(state) {
    // Seen by whoever listens: a test, in another thread.
    const { config } = state as { config: { channel?: string } };
    if (config.channel === undefined) return;
    const channel = new BroadcastChannel(config.channel);
    const message: [string] = ["closed"];
    channel.postMessage(...message);
  },
  async execute({ how, url }, { state, progress, signal, http, log, callId }) {
    const seen = state as { calls: number; config: unknown };
    seen.calls++;
    switch (how) {
      case "loop":
        for (;;) void 0;
      case "exit":
        if (url !== undefined) await http(url);
        return process.exit(3);
      case "timer":
        setTimeout(() => {
          throw new Error("thrown in a timer");
        }, 5);
        return new Promise(() => {});
      case "memory": {
        const kept: number[][] = [];
        for (;;) kept.push(Array.from({ length: 100_000 }, () => Math.random()));
      }
      case "progress":
        progress({ message: "half", fraction: 0.5 });
        log.info("half done", { callId });
        return "done";
      case "signal":
        return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
      case "http":
        return (await http(url ?? "")).json();
      case "post":
        return (await http(url ?? "", { method: "POST" })).json();
      case "throw a stack of 5":
        throw Object.assign(new Error("secret words"), { stack: 5 });
      case "throw an unreadable proxy": {
        const refuse = (): never => {
          throw new Error("nobody reads this");
        };
        throw new Proxy(new Error("secret words"), { get: refuse, has: refuse, getPrototypeOf: refuse });
      }
      case "refuse":
        throw new ToolError("There is no such order.");
      case "throw":
        throw new TypeError("secret words");
      case "odd":
        return { map: new Map([["a", 1n]]), none: undefined, set: new Set([1]), at: new Date(0) };
      case "circular": {
        const loop: Record<string, unknown> = {};
        return Object.assign(loop, { loop });
      }
      default:
        return { config: seen.config, calls: seen.calls };
    }
  },
});
