import { defineTool } from "jackfield/plugin";
import { found, inputSchema } from "../peers/search.ts";

export default defineTool({
  name: "idempotent_inventory",
  description: "Answers at once: a `idempotent` tool without I/O.",
  inputSchema,
  effect: "idempotent",
  limits: { concurrency: 256, queue: 4096 },
  execute: () => found,
});
