import { defineTool } from "jackfield/plugin";
import { configSchema, inputSchema, takeEffect } from "./request.ts";

/** Changes something that the downstream deduplicates by its key. */
export default defineTool({
  name: "set",
  description: "Changes something that the downstream deduplicates by its key.",
  effect: "idempotent",
  inputSchema,
  configSchema,
  timeoutMs: 8000,
  limits: { concurrency: 1000, queue: 10_000 },
  execute({ id, delay }, { http, config, callId, idempotencyKey }) {
    return takeEffect(http, { baseUrl: config.baseUrl, effect: "idempotent", id, delay, callId, key: idempotencyKey });
  },
});
