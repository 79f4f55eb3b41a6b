import { setTimeout as wait } from "node:timers/promises";
import { defineTool } from "jackfield/plugin";

export default defineTool({
  name: "nap",
  description: "Waits and says how long.",
  inputSchema: {
    type: "object",
    properties: { ms: { type: "integer" }, report: { type: "boolean" } },
    required: ["ms"],
    additionalProperties: false,
  },
  effect: "read",
  timeoutMs: 20_000,
  async execute({ ms, report }, { signal, progress }) {
    if (report === true) progress({ message: "half way", fraction: 0.5 });
    await wait(ms, undefined, { signal });
    return { slept: ms };
  },
});
