import { defineTool } from "jackfield/plugin";
import { found, inputSchema } from "../peers/search.ts";

export default defineTool({
  name: "read_inventory",
  description: "Answers at once: a `read` tool without I/O.",
  inputSchema,
  effect: "read",
  limits: { concurrency: 256, queue: 4096 },
  execute: () => found,
});
