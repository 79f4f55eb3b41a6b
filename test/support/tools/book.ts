import { setTimeout as wait } from "node:timers/promises";
import { defineTool, path } from "jackfield/plugin";

export default defineTool({
  name: "book",
  description: "Books a seat.",
  inputSchema: {
    type: "object",
    properties: { seat: { type: "string" }, ms: { type: "integer" } },
    required: ["seat"],
  },
  configSchema: {
    type: "object",
    properties: { baseUrl: { type: "string" }, apiKey: { type: "string", secret: true } },
    required: ["baseUrl"],
  } as const,
  effect: "write",
  async execute({ seat, ms }, { http, config, idempotencyKey }) {
    if (typeof ms === "number") await wait(ms);
    const answer = await http(`${config.baseUrl}${path`/seats/${seat}`}`, {
      method: "POST",
      json: { seat },
      idempotencyKey,
      ...(config.apiKey !== undefined && { headers: { authorization: `Bearer ${config.apiKey}` } }),
    });
    return answer.json();
  },
});
