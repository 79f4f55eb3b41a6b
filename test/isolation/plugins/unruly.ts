import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { defineTool, ToolError } from "jackfield/plugin";

/** Does whatever a call requests, including what a plugin must not do. */
export default defineTool({
  name: "unruly",
  description: "Does what it is told, good or bad.",
  inputSchema: { type: "object", properties: { how: { type: "string" }, url: { type: "string" } }, required: ["how"] },
  effect: "read",
  timeoutMs: 2000,
  open: (config) => ({ opened: Date.now(), config, calls: 0 }),
  close(state) {
    const { file } = (state as { config: { file?: string } }).config;
    if (file !== undefined) appendFileSync(file, "closed\n");
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
      case "buffers": {
        const kept: Buffer[] = [];
        for (;;) kept.push(Buffer.alloc(4_000_000, 1));
      }
      case "abort":
        return process.abort();
      case "segfault":
        process.kill(process.pid, "SIGSEGV");
        return new Promise(() => {});
      case "disconnect":
        process.disconnect?.();
        return new Promise(() => {});
      case "pid":
        return process.pid;
      case "env":
        return process.env;
      case "argv":
        return process.argv;
      case "print":
        console.log("printed by a tool");
        return "done";
      case "start another process":
        return spawn("sleep", ["600"], { stdio: "ignore" }).pid;
      case "loop later":
        setTimeout(() => {
          for (;;) void 0;
        }, 5);
        return "done";
      case "leave a rejection behind":
        void Promise.reject(new Error("secret words"));
        return "done";
      case "send nonsense":
        process.send?.(null);
        parentPort?.postMessage(null, []);
        return new Promise(() => {});
      case "report without end":
        for (;;) progress({ message: "again" });
      case "report often":
        for (let times = 0; times < 1000; times++) {
          progress({ message: String(times) });
          if (times % 100 === 99) await new Promise((resolve) => setTimeout(resolve, 10));
        }
        return "done";
      case "echo":
        return (await http(url ?? "", { method: "POST", json: (await http(url ?? "")).json() })).json();
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
