import { defineTool } from "jackfield/plugin";
import { found, inputSchema } from "../peers/search.ts";

export default defineTool({
  name: "write_inventory",
  description: "Answers at once: a `write` tool without I/O.",
  inputSchema,
  effect: "write",
  limits: { concurrency: 256, queue: 4096 },
  execute: () => found,
});
