import { toBinary } from "@bufbuild/protobuf";
import type { JsonObject } from "@bufbuild/protobuf";
import { create } from "@bufbuild/protobuf";
import { StructSchema } from "@bufbuild/protobuf/wkt";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, createGrpcWebTransport, createConnectTransport } from "@connectrpc/connect-node";
import { createParser } from "eventsource-parser";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ToolExecutor, ExecuteToolRequestSchema } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome, ToolCallSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { post, rpc, readAnswer } from "../support/http-client.ts";
import { nested, refusedArguments } from "../support/hostile-json.ts";
import { startService, testTool } from "../support/service.ts";
import type { ServiceUnderTest } from "../support/service.ts";

let service: ServiceUnderTest;
beforeAll(async () => {
  service = await startService({ plugins: [{ use: testTool("echo") }, { use: testTool("nap") }] });
}, 60_000);
afterAll(() => service[Symbol.asyncDispose]());

/** Sends the same arguments through every entry point. Returns the answers that the model reads. */
async function answersOfAllEntryPoints(argumentsJson: string, name = "echo"): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const call = { id: "", name, argumentsJson };
  const json = await rpc(service.url, "ToolExecutor/ExecuteTool", { call });
  found["connect json"] = JSON.stringify([json.body["result"]?.["outcome"], json.body["result"]?.["output"]]);
  const bases = { baseUrl: service.url };
  const ways = {
    "connect binary": createConnectTransport({ ...bases, httpVersion: "2", useBinaryFormat: true }),
    grpc: createGrpcTransport(bases),
    "grpc-web": createGrpcWebTransport({ ...bases, httpVersion: "1.1" }),
  };
  for (const [way, transport] of Object.entries(ways)) {
    const { result } = await createClient(ToolExecutor, transport).executeTool({
      call: { id: "", name, input: { case: "argumentsJson", value: argumentsJson } },
    });
    found[way] = JSON.stringify([`OUTCOME_${outcomeName(result?.outcome)}`, result?.output]);
  }
  const outcome = (JSON.parse(found["grpc"] ?? "[]") as string[])[0];
  const gateway = await readAnswer(
    post(`${service.url}/llm-gateway/tools`, {
      tool_calls: [{ id: "x", function: { name, arguments: argumentsJson } }],
    }),
  );
  found["genesys"] = JSON.stringify([outcome, gatewayMessage(gateway.text)]);
  const cognigy = await readAnswer(
    post(`${service.url}/api/v1/llm/tool-callback`, {
      tool_call_id: `${Math.random()}`,
      name,
      arguments: argumentsJson,
    }),
  );
  const { output } = JSON.parse(cognigy.text) as { output: string };
  // Cognigy's message begins differently.
  found["cognigy"] = JSON.stringify([
    outcome,
    output.replace(/^Invalid arguments: Schema validation failed: /, `Schema validation failed for ${name}: `),
  ]);
  return found;
}

function outcomeName(outcome: Outcome | undefined): string {
  return Object.entries(Outcome).find(([, number]) => number === outcome)?.[0] ?? "";
}

function gatewayMessage(text: string): string {
  let last = "";
  createParser({ onEvent: ({ data }) => void (last = data) }).feed(text);
  const { tool_results: results } = JSON.parse(last) as { tool_results: { function: { output: string } }[] };
  const output = results[0]?.function.output ?? "";
  const parsed = JSON.parse(output) as { error?: string };
  return parsed.error ?? output;
}

function expectSameVerdict(found: Record<string, string>): string {
  // The echo contains the source, which differs by entry point. Cognigy joins violations by semicolons, the others by commas.
  const verdicts = new Set(
    Object.values(found).map((text) => text.replace(/\\"source\\":\\"[a-z]+\\"/, "").replaceAll("; ", ", ")),
  );
  expect([...verdicts], JSON.stringify(found)).toHaveLength(1);
  return Object.values(found)[0] ?? "";
}

for (const [what, text, words] of refusedArguments) {
  test(`arguments of ${what} are a problem of that call, with the same message on every entry point`, async () => {
    const verdict = expectSameVerdict(await answersOfAllEntryPoints(text));
    expect(verdict).toMatch(words);
    expect(verdict).toContain("OUTCOME_INVALID_ARGUMENTS");
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });
}

test("valid extremes are accepted on every entry point: 32 levels, 2^53 - 1, the last of two equal keys, an empty text, odd characters", async () => {
  expect(expectSameVerdict(await answersOfAllEntryPoints(nested(32)))).toContain("OUTCOME_OK");
  expect(
    expectSameVerdict(
      await answersOfAllEntryPoints('{"a":9007199254740991,"b":-9007199254740991,"c":1e308}'.replace(',"c":1e308', "")),
    ),
  ).toContain("9007199254740991");
  expect(expectSameVerdict(await answersOfAllEntryPoints('{"a":1,"a":2}'))).toContain(String.raw`{\"args\":{\"a\":2}`);
  expect(expectSameVerdict(await answersOfAllEntryPoints(""))).toContain(String.raw`{\"args\":{}`);
  expect(expectSameVerdict(await answersOfAllEntryPoints('{"constructor":"x","toString":1}'))).toContain("OUTCOME_OK");
  expect(
    expectSameVerdict(
      await answersOfAllEntryPoints(JSON.stringify({ "\u2028": "\u202e\u0000😀\u0007", "\r\n": "\r\n" })),
    ),
  ).toContain("OUTCOME_OK");
});

for (const name of [
  "constructor",
  "toString",
  "__proto__",
  "hasOwnProperty",
  "../x",
  "x".repeat(129),
  "x".repeat(5000),
  "a b",
  "名",
  "\r\nx: y",
  "\u0000",
]) {
  test(`a tool called ${JSON.stringify(name.slice(0, 20))} is unknown on every entry point (hazard 16)`, async () => {
    const verdict = expectSameVerdict(await answersOfAllEntryPoints("{}", name));
    expect(JSON.parse(verdict)).toEqual(["OUTCOME_UNKNOWN_TOOL", `Unknown tool: ${name}`]);
  });
}

test("any JSON arguments get the same verdict on every entry point (hazard 2)", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.jsonValue({ maxDepth: 6 }),
      async (value) => void expectSameVerdict(await answersOfAllEntryPoints(JSON.stringify(value))),
    ),
    { numRuns: 40, examples: [[{ "": { "; ": -9007199254740992 } }]] },
  );
}, 60_000);

test("objects that arrive parsed get the same verdict as their text", async () => {
  for (const [, text] of refusedArguments.filter(
    ([what]) => !/bytes|text|list$|null|number|brace|spaces|100,000|20,000|__proto__|100 levels/.test(what),
  )) {
    const byText = (JSON.parse((await answersOfAllEntryPoints(text))["connect json"] ?? "") as string[])[1];
    const json = await rpc(service.url, "ToolExecutor/ExecuteTool", `{"call":{"name":"echo","arguments":${text}}}`);
    expect([text, json.body["result"]?.["output"]]).toEqual([text, byText]);
    const gateway = await readAnswer(
      post(
        `${service.url}/llm-gateway/tools`,
        `{"tool_calls":[{"id":"x","function":{"name":"echo","arguments":${text}}}]}`,
      ),
    );
    expect([text, gatewayMessage(gateway.text)]).toEqual([text, byText]);
    const cognigy = await readAnswer(
      post(
        `${service.url}/api/v1/llm/tool-callback`,
        `{"tool_call_id":"${Math.random()}","name":"echo","arguments":${text}}`,
      ),
    );
    expect(cognigy.status).toBe(200);
    expect((JSON.parse(cognigy.text) as { output: string }).output).toContain(byText?.replace(/^.*?: /, "") ?? "");
  }
  for (const levels of [100, 100_000]) {
    for (const [path, before] of [
      ["/llm-gateway/tools", '{"tool_calls":[{"id":"x","function":{"name":"echo","arguments":'],
      ["/api/v1/llm/tool-callback", '{"tool_call_id":"deep","name":"echo","arguments":'],
    ] as const) {
      const answer = await readAnswer(
        post(`${service.url}${path}`, `${before}${nested(levels)}${path.includes("callback") ? "}" : "}}]}"}`),
      );
      expect(answer.status).toBe(200);
      expect(answer.text).toContain("must not be nested as deeply");
    }
  }
  for (const key of ["__proto__", "\\u005f_proto__"]) {
    const gateway = await readAnswer(
      post(
        `${service.url}/llm-gateway/tools`,
        `{"tool_calls":[{"id":"x","function":{"name":"echo","arguments":{"${key}":{"a":1}}}}]}`,
      ),
    );
    expect(gatewayMessage(gateway.text)).toContain("/__proto__: is not allowed");
    const json = await rpc(
      service.url,
      "ToolExecutor/ExecuteTool",
      `{"call":{"name":"echo","arguments":{"${key}":{"a":1}}}}`,
    );
    expect(json.body["result"]?.["output"]).toContain("/__proto__: is not allowed");
  }
});

test("a gRPC Struct with values that JSON cannot express is refused", async () => {
  const client = createClient(ToolExecutor, createGrpcTransport({ baseUrl: service.url }));
  const ask = async (fields: JsonObject | undefined, odd?: number) => {
    const value: JsonObject = odd === undefined ? (fields ?? {}) : { a: odd };
    const { result } = await client.executeTool({ call: { name: "echo", input: { case: "arguments", value } } });
    return [outcomeName(result?.outcome), result?.output];
  };
  expect((await ask(undefined, 2 ** 53))[0]).toBe("INVALID_ARGUMENTS");
  expect((await ask({ a: 1 }))[0]).toBe("OK");
  // Values that no protobuf library encodes are written byte by byte: {"a": Infinity} and {"a": NaN}.
  for (const odd of [Number.POSITIVE_INFINITY, Number.NaN]) {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(odd);
    const value = Buffer.concat([Buffer.from([0x11]), bytes]);
    const entry = Buffer.concat([Buffer.from([0x0a, 1, 0x61, 0x12, value.length]), value]);
    const struct = Buffer.concat([Buffer.from([0x0a, entry.length]), entry]);
    expect(toBinary(StructSchema, create(StructSchema, {})).length).toBe(0);
    const callBytes = Buffer.concat([
      Buffer.from([0x12, 4]),
      Buffer.from("echo"),
      Buffer.from([0x1a, struct.length]),
      struct,
    ]);
    expect(create(ToolCallSchema).$typeName).toBe("jackfield.v1.ToolCall");
    const message = Buffer.concat([Buffer.from([0x0a, callBytes.length]), callBytes]);
    expect(create(ExecuteToolRequestSchema).$typeName).toBe("jackfield.v1.ExecuteToolRequest");
    const response = await fetch(`${service.url}/jackfield.v1.ToolExecutor/ExecuteTool`, {
      method: "POST",
      headers: { "content-type": "application/proto", accept: "application/json" },
      body: message,
    });
    expect(response.status).toBe(200);
    expect(Buffer.from(await response.arrayBuffer()).toString("latin1")).toMatch(/2\^53/);
  }
});
