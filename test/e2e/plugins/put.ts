import { defineTool } from "jackfield/plugin";
import { configSchema, inputSchema, takeEffect } from "./request.ts";

/** Changes something, and cannot find out whether it did. */
export default defineTool({
  name: "put",
  description: "Changes something, and cannot tell whether it did.",
  effect: "write",
  inputSchema,
  configSchema,
  timeoutMs: 8000,
  limits: { concurrency: 1000, queue: 10_000 },
  execute({ id, delay }, { http, config, callId, idempotencyKey }) {
    return takeEffect(http, { baseUrl: config.baseUrl, effect: "write", id, delay, callId, key: idempotencyKey });
  },
});
