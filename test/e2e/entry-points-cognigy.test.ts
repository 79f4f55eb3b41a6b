import { afterAll, beforeAll, expect } from "vitest";
import { post, readAnswer, until } from "../support/http-client.ts";
import { startService, testTool } from "../support/service.ts";
import type { ServiceUnderTest } from "../support/service.ts";
import { testRequirement } from "../support/test-requirement.ts";

let service: ServiceUnderTest;
beforeAll(async () => {
  service = await startService();
}, 60_000);
afterAll(() => service[Symbol.asyncDispose]());

const london = '{"location":"London","temperature":22,"unit":"celsius","condition":"clear"}';

function callback(body: unknown, headers?: Record<string, string>) {
  return readAnswer(post(`${service.url}/api/v1/llm/tool-callback`, body, headers));
}

testRequirement(["003.1", "003.3", "003.4"], "Cognigy gets exactly the id and the output", async () => {
  const ask = async (body: object) => {
    const { status, text } = await callback(body);
    return [status, text];
  };
  const answered = (id: string, output: string) => [200, JSON.stringify({ tool_call_id: id, output })];
  expect(await ask({ tool_call_id: "y1", name: "get_weather", arguments: { location: "London" } })).toEqual(
    answered("y1", london),
  );
  expect(await ask({ tool_call_id: "y2", name: "get_weather", arguments: '{"location":"London"}' })).toEqual(
    answered("y2", london),
  );
  for (const [id, args] of [
    ["y3", undefined],
    ["y4", null],
    ["y5", ""],
  ] as const) {
    expect(
      await ask({ tool_call_id: id, name: "get_weather", ...(args !== undefined && { arguments: args }) }),
    ).toEqual(answered(id, "Invalid arguments: Schema validation failed: : must have required property 'location'"));
  }
  expect(
    await ask({ tool_call_id: "y6", name: "get_weather", arguments: { location: 1, unit: "kelvin", x: 1 } }),
  ).toEqual(
    answered(
      "y6",
      "Invalid arguments: Schema validation failed: : must NOT have additional properties: x; /location: must be string; /unit: must be equal to one of the allowed values: celsius, fahrenheit",
    ),
  );
  expect(await ask({ tool_call_id: "y7", name: "toString", arguments: {} })).toEqual(
    answered("y7", "Unknown tool: toString"),
  );
  expect(await ask({ tool_call_id: "y8", name: "get_weather", arguments: "{oops" })).toEqual(
    answered("y8", "Invalid JSON in arguments for get_weather"),
  );
  for (const body of [
    [],
    "null",
    '"x"',
    {},
    { tool_call_id: "a" },
    { name: "x" },
    { tool_call_id: 1, name: "x" },
    { tool_call_id: "", name: "x" },
    { tool_call_id: "a", name: "" },
    "{",
  ]) {
    const { status, text } = await callback(body);
    expect(status).toBe(400);
    expect(Object.keys(JSON.parse(text) as object)).toEqual(["error"]);
  }
});

testRequirement(["003.2", "003.7", "003.11"], "the Cognigy routes support keys, polls and preflights", async () => {
  await using own = await startService({
    env: { COGNIGY_API_KEY: "cog-key-1", GENESYS_WEBHOOK_KEY: "hook-key-1" },
    yaml: { adapters: { cognigy: { answerWithinMs: 300 } } },
    plugins: [{ use: testTool("nap") }],
  });
  const url = `${own.url}/api/v1/llm/tool-callback`;
  const key = { "x-cognigy-ai-api-key": "cog-key-1" };
  const refused = '{"error":"Invalid or missing X-Cognigy-AI-API-Key header. Scope llm:tools:execute required."}';
  for (const headers of [
    {},
    { "x-cognigy-ai-api-key": "" },
    { "x-cognigy-ai-api-key": "cog-key" },
    { "x-cognigy-ai-api-key": "cog-key-12" },
    { authorization: "Bearer cog-key-1" },
  ] as Record<string, string>[]) {
    const answer = await readAnswer(post(url, "{not json", headers));
    expect([answer.status, answer.text]).toEqual([401, refused]);
    const poll = await readAnswer(fetch(`${url}/x`, { headers: headers }));
    expect([poll.status, poll.text]).toEqual([401, refused]);
  }
  const late = await readAnswer(post(url, { tool_call_id: "n/1 ü", name: "nap", arguments: { ms: 800 } }, key));
  expect([late.status, late.text]).toEqual([
    200,
    '{"tool_call_id":"n/1 ü","output":"Tool execution timed out or failed. Please retry."}',
  ]);
  const poll = () => readAnswer(fetch(`${url}/${encodeURIComponent("n/1 ü")}`, { headers: key }));
  const running = await poll();
  expect([running.status, running.text]).toEqual([202, '{"tool_call_id":"n/1 ü","status":"pending"}']);
  const done = await until(async () => {
    const answer = await poll();
    return answer.status === 200 && answer;
  });
  expect(done.text).toBe('{"tool_call_id":"n/1 ü","output":"{\\"slept\\":800}"}');
  const unknown = await readAnswer(fetch(`${url}/nobody`, { headers: key }));
  expect([unknown.status, unknown.text]).toEqual([404, '{"error":"Unknown tool_call_id"}']);

  const preflight = (path: string, origin: string) =>
    fetch(`${own.url}${path}`, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-cognigy-ai-api-key,content-type",
      },
    });
  const allowed = await preflight("/api/v1/llm/tool-callback", "https://app.cognigy.ai");
  expect(allowed.status).toBe(204);
  expect(allowed.headers.get("access-control-allow-origin")).toBe("https://app.cognigy.ai");
  expect(allowed.headers.get("access-control-allow-methods")).toBe("POST");
  expect(allowed.headers.get("access-control-allow-headers")).toBe("X-Cognigy-AI-API-Key, Content-Type");
  expect(
    (await preflight("/api/v1/llm/tool-callback", "https://evil.example")).headers.get("access-control-allow-origin"),
  ).toBeNull();
  expect(
    (await preflight("/llm-gateway/tools", "https://app.cognigy.ai")).headers.get("access-control-allow-origin"),
  ).toBeNull();
  const real = await post(
    url,
    { tool_call_id: "o", name: "nap", arguments: { ms: 0 } },
    { ...key, origin: "https://app.cognigy.ai" },
  );
  expect(real.headers.get("access-control-allow-origin")).toBe("https://app.cognigy.ai");
  const denied = await post(url, {}, { origin: "https://app.cognigy.ai" });
  expect([denied.status, denied.headers.get("access-control-allow-origin")]).toEqual([401, "https://app.cognigy.ai"]);

  const noKey = '{"error":"Invalid or missing webhook key."}';
  for (const path of ["/llm-gateway/tools", "/webhook/tool-calls"]) {
    for (const headers of [
      {},
      { authorization: "Bearer hook-key" },
      { "x-api-key": "hook-key-1 x" },
      { authorization: "Basic hook-key-1" },
    ] as Record<string, string>[]) {
      const answer = await readAnswer(post(`${own.url}${path}`, "{", headers));
      expect([answer.status, answer.text]).toEqual([401, noKey]);
    }
    for (const headers of [
      { authorization: "Bearer hook-key-1" },
      { "x-api-key": "hook-key-1" },
      { authorization: "bearer hook-key-1" },
    ] as Record<string, string>[]) {
      const answer = await readAnswer(post(`${own.url}${path}`, {}, headers));
      expect(answer.status).toBe(400);
    }
  }
});
