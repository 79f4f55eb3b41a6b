import { defineTool } from "jackfield/plugin";

export default defineTool({
  name: "ask_dead",
  description: "Asks a downstream that takes connections and never answers.",
  inputSchema: { type: "object" },
  configSchema: {
    type: "object",
    properties: { baseUrl: { type: "string" } },
    required: ["baseUrl"],
    additionalProperties: false,
  },
  effect: "read",
  timeoutMs: 2000,
  execute: async (_args, { http, config }) => (await http(config.baseUrl)).json(),
});
