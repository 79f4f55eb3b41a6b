import { defineTool } from "jackfield/plugin";
import { configSchema, inputSchema } from "./request.ts";

/** Reads from the downstream of the tests. */
export default defineTool({
  name: "look",
  description: "Looks something up.",
  effect: "read",
  inputSchema,
  configSchema,
  limits: { concurrency: 1000, queue: 10_000 },
  async execute({ id, delay = 0 }, { http, config }) {
    const response = await http(`${config.baseUrl}/look`, { query: { id, delay } });
    return response.json();
  },
});
