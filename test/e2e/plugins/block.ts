import { writeFileSync } from "node:fs";
import { defineTool } from "jackfield/plugin";

/** Computes for a while without yielding, then writes a file. */
export default defineTool({
  name: "block",
  description: "Computes for a while, then writes a file.",
  effect: "read",
  inputSchema: {
    type: "object",
    properties: { file: { type: "string" }, ms: { type: "integer" } },
    required: ["file", "ms"],
  },
  async execute({ file, ms }: { file: string; ms: number }) {
    const end = performance.now() + ms;
    while (performance.now() < end);
    writeFileSync(file, "done");
    return { done: true };
  },
});
