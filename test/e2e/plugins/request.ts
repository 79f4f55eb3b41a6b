import type { ToolHttp } from "jackfield/plugin";

/** The address of the tests' downstream. */
export const configSchema = {
  type: "object",
  properties: { baseUrl: { type: "string" } },
  required: ["baseUrl"],
} as const;

/** Names one effect of a test. */
export const inputSchema = {
  type: "object",
  properties: { id: { type: "string" }, delay: { type: "integer" } },
  required: ["id"],
} as const;

/** Requests one effect from the downstream. */
export async function takeEffect(
  http: ToolHttp,
  about: {
    baseUrl: string;
    effect: "idempotent" | "write";
    id: string;
    delay?: number | undefined;
    callId: string;
    key: string;
  },
): Promise<{ id: string; number: number }> {
  const { baseUrl, effect, id, delay, callId, key } = about;
  const response = await http(`${baseUrl}/effects/${effect}`, {
    method: "POST",
    json: { id, delay, callId },
    idempotencyKey: key,
  });
  return response.json();
}
