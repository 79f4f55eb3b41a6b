import { createParser } from "eventsource-parser";
import * as http from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { post, readAnswer } from "../support/http-client.ts";
import { nested } from "../support/hostile-json.ts";
import { startService, testTool } from "../support/service.ts";
import type { ServiceUnderTest } from "../support/service.ts";
import { testRequirement } from "../support/test-requirement.ts";

let service: ServiceUnderTest;
beforeAll(async () => {
  service = await startService({ plugins: [{ use: testTool("echo") }, { use: testTool("nap") }] });
}, 60_000);
afterAll(() => service[Symbol.asyncDispose]());

const routes = ["/llm-gateway/tools", "/webhook/tool-calls", "/api/v1/llm/tool-callback"] as const;

/** Encodes a message of Connect's streaming protocol. */
function framed(message: unknown): Uint8Array {
  const body = Buffer.from(JSON.stringify(message));
  const head = Buffer.alloc(5);
  head.writeUInt32BE(body.length, 1);
  return Buffer.concat([head, body]);
}

for (const route of routes) {
  test(`malformed envelopes of ${route} are 4xx with an error in JSON (hazards 1, 4, 11 and 12)`, async () => {
    const ask = async (body: string | Uint8Array, headers: Record<string, string> = {}) => {
      const answer = await readAnswer(post(`${service.url}${route}`, body, headers));
      expect(Object.keys(JSON.parse(answer.text) as object), answer.text).toEqual(["error"]);
      return answer.status;
    };
    for (const body of ["", "{", "nope", '{"a":1,}', "[1", "'x'", "\u0000", "{}{}", "NaN", "﻿{}"])
      expect([body, await ask(body)]).toEqual([body, 400]);
    expect(await ask(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]))).toBe(400);
    expect(await ask('{"__proto__":{"a":1}}')).toBe(400);
    expect(await ask('{"\\u005f_proto__":{"a":1}}')).toBe(400);
    expect(await ask('{"constructor":{"prototype":{}}}')).toBe(400);
    expect(await ask(`{"x":${nested(33)}}`)).toBe(400);
    expect(await ask("[".repeat(100_000) + "]".repeat(100_000))).toBe(400);
    expect(await ask(`{"a":"${"x".repeat(1_048_576)}"}`)).toBe(413);
    for (const type of [
      "text/plain",
      "multipart/form-data; boundary=x",
      "application/jsonx",
      "application/json\t; x",
      "application/json ;x",
      "application/x-www-form-urlencoded",
    ]) {
      expect([type, await ask("{}", { "content-type": type })]).toEqual([type, 415]);
    }
    expect([400, 415]).toContain(await ask("{}", { "content-encoding": "gzip" }));
    expect(await ask("{}", { "content-type": "application/json; charset=utf-8" })).toBe(400);
    const chunked = await new Promise<number>((resolve, reject) => {
      const request = http.request(
        `${service.url}${route}`,
        { method: "POST", headers: { "content-type": "application/json", "transfer-encoding": "chunked" } },
        (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        },
      );
      request.on("error", reject);
      request.write(`{"a":"${"x".repeat(600_000)}`);
      request.write(`${"x".repeat(600_000)}"}`);
      request.end();
    });
    expect(chunked).toBe(413);
    const missing = await fetch(`${service.url}${route}`, { method: "POST", body: Buffer.from("{}") });
    expect([missing.status, await missing.text()]).toEqual([415, '{"error":"Content-Type must be application/json"}']);
    const good = await readAnswer(
      post(`${service.url}/api/v1/llm/tool-callback`, { tool_call_id: `${Math.random()}`, name: "echo" }),
    );
    expect(good.status).toBe(200);
  });
}

test("malformed RPC messages are invalid_argument or resource_exhausted (hazard 1)", async () => {
  const url = `${service.url}/jackfield.v1.ToolExecutor/ExecuteTool`;
  const ask = async (body: string | Uint8Array, headers: Record<string, string> = {}) => {
    const answer = await readAnswer(post(url, body, headers));
    return [answer.status, (JSON.parse(answer.text) as { code?: string }).code];
  };
  for (const body of [
    "",
    "{",
    "[]",
    "null",
    '"x"',
    "{}",
    '{"call":1}',
    '{"call":{"name":1}}',
    '{"call":{"name":"echo","arguments":[]}}',
  ]) {
    expect([body, ...(await ask(body))]).toEqual([body, 400, "invalid_argument"]);
  }
  expect(await ask(Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]))).toEqual([400, "invalid_argument"]);
  expect(await ask(`{"call":{"name":"echo","id":"${"x".repeat(257)}"}}`)).toEqual([400, "invalid_argument"]);
  expect(await ask(`{"call":{"name":"echo","id":"${"😀".repeat(256)}"}}`)).toEqual([200, undefined]);
  expect(await ask(`{"call":{"name":"echo","argumentsJson":"${"x".repeat(1_048_577)}"}}`)).toEqual([
    429,
    "resource_exhausted",
  ]);
  expect(await ask(Buffer.from([0xff, 0xff]), { "content-type": "application/proto" })).toEqual([
    400,
    "invalid_argument",
  ]);
  const deep = await readAnswer(post(url, `{"call":{"name":"echo","arguments":${nested(100_000)}}}`));
  expect([200, 400]).toContain(deep.status);
  expect(deep.text).toMatch(/nested|invalid_argument/);
  const text = await readAnswer(post(url, "{}", { "content-type": "text/plain" }));
  expect(text.status).toBe(415);
});

testRequirement(
  "000.3",
  "duplicate ids in a request: the same arguments are one execution, others a conflict (hazard 13)",
  async () => {
    const { text } = await readAnswer(
      post(`${service.url}/llm-gateway/tools`, {
        conversation_id: "twice",
        tool_calls: [
          { id: "d", function: { name: "echo", arguments: '{"a":1,"b":2}' } },
          { id: "d", function: { name: "echo", arguments: '{"b":2,"a":1}' } },
          { id: "d", function: { name: "echo", arguments: '{"a":2}' } },
        ],
      }),
    );
    let last = "";
    createParser({ onEvent: ({ data }) => void (last = data) }).feed(text);
    const { tool_results: results } = JSON.parse(last) as {
      tool_results: { id: string; function: { output: string } }[];
    };
    expect(results.map(({ id }) => id)).toEqual(["d", "d", "d"]);
    expect(results[0]?.function.output).toBe(results[1]?.function.output);
    expect(results[2]?.function.output).toBe('{"error":"This call id was already used with other arguments."}');
    for (const id of ["a\r\nb", "\u2028", "\u202e x", "\u0000", "😀", 'a"b\\']) {
      const echoed = await readAnswer(
        post(`${service.url}/api/v1/llm/tool-callback`, { tool_call_id: id, name: "echo" }),
      );
      expect((JSON.parse(echoed.text) as { tool_call_id: string }).tool_call_id).toBe(id);
    }
    expect(
      service
        .logs()
        .split("\n")
        .filter((line) => line !== "")
        .every((line) => line.startsWith("{") && line.endsWith("}")),
    ).toBe(true);
  },
);

test("65 calls are one too many on every entry point that accepts several (hazard 11)", async () => {
  const many = Array.from({ length: 65 }, (_, index) => ({ id: `m${index}`, name: "echo" }));
  const json = await readAnswer(
    post(`${service.url}/jackfield.v1.ToolExecutor/ExecuteTools`, framed({ calls: many }), {
      "content-type": "application/connect+json",
    }),
  );
  expect(json.text).toContain("invalid_argument");
  for (const [route, extra] of [
    ["/llm-gateway/tools", {}],
    ["/webhook/tool-calls", { run_id: "r" }],
  ] as const) {
    const answer = await readAnswer(
      post(`${service.url}${route}`, {
        ...extra,
        tool_calls: many.map(({ id, name }) => ({ id, function: { name, arguments: "{}" } })),
      }),
    );
    expect(answer.status).toBe(400);
    const most = await readAnswer(
      post(`${service.url}${route}`, {
        ...extra,
        run_id: "r",
        tool_calls: many.slice(1).map(({ id, name }) => ({ id, function: { name, arguments: "{}" } })),
      }),
    );
    expect(most.status).toBeLessThan(300);
  }
});
