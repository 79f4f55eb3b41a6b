import { EventSourceParserStream } from "eventsource-parser/stream";
import { expect } from "vitest";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { createGenesysAdapter } from "../../src/adapters/genesys/index.ts";
import { Secret } from "../../src/secret.ts";
import { startAdapter, type AdapterTestOptions } from "./start-adapter.ts";
import { ToolFailure, type SimulatedTool } from "./simulated-tools.ts";

export const path = "/llm-gateway/tools";
export const usual: Record<string, SimulatedTool> = {
  echo: (args) => args,
  text: () => "plain text",
  fail: () => {
    throw new ToolFailure(Outcome.FAILED, "External API returned 500: down");
  },
  picky: () => {
    throw new ToolFailure(Outcome.INVALID_ARGUMENTS, "wrong", [
      { path: "/sku", message: 'must match pattern "^[A-Z]+$"' },
      { path: "", message: "must NOT have additional properties: 'x'" },
    ]);
  },
};

export function gateway(options: Partial<AdapterTestOptions> & { key?: string; answerWithinMs?: number } = {}) {
  const { key, answerWithinMs = 55_000 } = options;
  const webhookKey = key === undefined ? undefined : new Secret(key);
  const settings = { answerWithinMs, webhookKey, sanitize: "text", maxOutput: 65_536 } as const;
  const adapter = createGenesysAdapter({ settings, callsPerRequest: 64, canDeliver: true });
  return startAdapter({ tools: usual, ...options, adapter });
}

interface Event {
  readonly event: string | undefined;
  readonly data: {
    tool_results?: { id: string; function: { name: string; output: string } }[];
    [key: string]: unknown;
  };
}

export function eventsOf(
  response: Response,
): ReadableStreamDefaultReader<{ event?: string | undefined; data: string }> {
  return response.body!.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()).getReader();
}

export async function readAll(response: Response): Promise<Event[]> {
  const reader = eventsOf(response);
  const events: Event[] = [];
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    events.push({ event: next.value.event, data: JSON.parse(next.value.data) as Event["data"] });
  }
  return events;
}

export async function outputs(response: Response): Promise<string[]> {
  const last = (await readAll(response)).at(-1);
  expect(last?.event).toBe("tool_result");
  return last!.data.tool_results!.map((result) => result.function.output);
}
