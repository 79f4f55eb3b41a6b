import { createParser } from "eventsource-parser";
import { afterAll, beforeAll, expect, test } from "vitest";
import { post, rpc, readAnswer } from "../support/http-client.ts";
import { startService, testTool } from "../support/service.ts";
import type { ServiceUnderTest } from "../support/service.ts";
import { testRequirement } from "../support/test-requirement.ts";

let service: ServiceUnderTest;
beforeAll(async () => {
  service = await startService({
    plugins: [
      { use: testTool("odd"), limits: { timeoutMs: 300 } },
      { use: testTool("nap"), limits: { timeoutMs: 400, concurrency: 1, queue: 1 } },
      { use: testTool("echo") },
    ],
  });
}, 60_000);
afterAll(() => service[Symbol.asyncDispose]());

/** Returns an answer as each entry point presents it: outcome and output of the RPC, Genesys' output, Cognigy's output. */
async function ask(how: string): Promise<[outcome: string, output: string, genesys: string, cognigy: string]> {
  const { status, body } = await rpc(service.url, "ToolExecutor/ExecuteTool", {
    call: { name: "odd", arguments: { how } },
  });
  expect(status, JSON.stringify(body)).toBe(200);
  const stream = await readAnswer(
    post(`${service.url}/llm-gateway/tools`, {
      tool_calls: [{ id: "x", function: { name: "odd", arguments: { how } } }],
    }),
  );
  let last = "";
  createParser({ onEvent: ({ data }) => void (last = data) }).feed(stream.text);
  const { tool_results: results } = JSON.parse(last) as { tool_results: { function: { output: string } }[] };
  const callback = await readAnswer(
    post(`${service.url}/api/v1/llm/tool-callback`, { tool_call_id: how, name: "odd", arguments: { how } }),
  );
  const { output } = JSON.parse(callback.text) as { output: string };
  return [
    body["result"]?.["outcome"] ?? "",
    body["result"]?.["output"] ?? "",
    results[0]?.function.output ?? "",
    output,
  ];
}

const failed = "Tool execution failed or timed out.";
const unserialisable = "Result could not be serialized to JSON or string.";
const expected: [string, string, string, string?][] = [
  ["undefined", "OUTCOME_OK", "null"],
  ["null", "OUTCOME_OK", "null"],
  ["nan", "OUTCOME_OK", "null"],
  ["number", "OUTCOME_OK", "7"],
  ["list", "OUTCOME_OK", '[1,"a"]'],
  ["text", "OUTCOME_OK", "Grüße", '"Grüße"'],
  ["date", "OUTCOME_OK", '"1970-01-01T00:00:00.000Z"'],
  ["bigint", "OUTCOME_OK", '"10"'],
  ["cycle", "OUTCOME_INVALID_OUTPUT", unserialisable],
  ["throw", "OUTCOME_FAILED", failed],
  ["text_thrown", "OUTCOME_FAILED", failed],
  ["never", "OUTCOME_TIMED_OUT", failed],
];

for (const [how, outcome, output, json] of expected) {
  testRequirement(
    ["000.7", "002.5", "003.3"],
    `a tool that answers ${how} affects one call, which gets a clear answer (hazard 38)`,
    async () => {
      const genesys = outcome === "OUTCOME_OK" ? (json ?? output) : JSON.stringify({ error: output });
      expect(await ask(how)).toEqual([outcome, output, genesys, output]);
    },
  );
}

testRequirement(
  ["002.6", "fault-002.cut"],
  "large answers are shortened and stay valid JSON, without split characters",
  async () => {
    for (const how of ["large", "long", "symbol", "function", "map"]) {
      const [outcome, output, genesys, cognigy] = await ask(how);
      expect(["OUTCOME_OK", "OUTCOME_INVALID_OUTPUT"]).toContain(outcome);
      expect(Buffer.byteLength(output)).toBeLessThanOrEqual(65_536);
      expect(Buffer.byteLength(cognigy)).toBeLessThanOrEqual(49_152);
      for (const text of [output, genesys, cognigy]) expect(text.isWellFormed()).toBe(true);
      JSON.parse(genesys);
      if (how === "large") expect((JSON.parse(cognigy) as { rows: unknown[] }).rows.length).toBeGreaterThan(10);
    }
  },
);

test("a busy tool is reported at once, and a slow one at its deadline (hazard 39)", async () => {
  const nap = () => rpc(service.url, "ToolExecutor/ExecuteTool", { call: { name: "nap", arguments: { ms: 5000 } } });
  const answers = await Promise.all([nap(), nap(), nap()]);
  const outcomes = answers.map(({ body }) => body["result"]?.["outcome"] ?? "");
  expect(outcomes.toSorted()).toEqual(["OUTCOME_OVERLOADED", "OUTCOME_TIMED_OUT", "OUTCOME_TIMED_OUT"]);
  const busy = answers.find(({ body }) => body["result"]?.["outcome"] === "OUTCOME_OVERLOADED");
  expect(busy?.body["result"]?.["output"]).toMatch(/^This tool is busy\. Try again in \d+ seconds\.$/);
  const good = await rpc(service.url, "ToolExecutor/ExecuteTool", { call: { name: "echo", arguments: {} } });
  expect(good.body["result"]?.["outcome"]).toBe("OUTCOME_OK");
});
