import { defineTool } from "jackfield/plugin";
import { configSchema, inputSchema, takeEffect } from "./request.ts";

/** Changes something, and can find out afterwards whether it did. */
export default defineTool({
  name: "put_known",
  description: "Changes something, and can find out afterwards whether it did.",
  effect: "write",
  inputSchema,
  configSchema,
  timeoutMs: 8000,
  limits: { concurrency: 1000, queue: 10_000 },
  execute({ id, delay }, { http, config, callId, idempotencyKey }) {
    return takeEffect(http, { baseUrl: config.baseUrl, effect: "write", id, delay, callId, key: idempotencyKey });
  },
  async reconcile({ idempotencyKey }, { http, config }) {
    const { found } = (await http(`${config.baseUrl}/effects/by-key`, { query: { key: idempotencyKey } })).json<{
      found: unknown;
    }>();
    return found === null ? "not-done" : { result: found };
  },
});
