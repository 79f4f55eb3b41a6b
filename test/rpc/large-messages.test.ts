import { brotliCompressSync, gzipSync } from "node:zlib";
import { type DescMessage, fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { ExecuteToolRequestSchema, ExecuteToolsRequestSchema } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { countTurns } from "../support/count-turns.ts";
import { type BothListeners, startBothListeners } from "./both-listeners.ts";
import { frame, type RawAnswer, type RawRequest } from "./raw-exchange.ts";
import { createEchoExecutor, createParts, createServices } from "./rpc-kit.ts";

const executor = createEchoExecutor();
const parts = createParts({ executor });
const services = createServices(parts);
let listeners: BothListeners;

beforeAll(async () => {
  listeners = await startBothListeners(services, parts.telemetry, 1_048_576);
});

afterAll(() => listeners[Symbol.asyncDispose]());

const value: JsonValue = {
  list: Array.from({ length: 300 }, (_, index) => [index, "é☎", { "": null, b: true }, []]),
  ["__proto__"]: { a: 1 },
  last: -1.5,
};
const call = { id: "c-1", name: "echo", arguments: value };

const methods: readonly [string, DescMessage, (call: JsonValue) => JsonValue][] = [
  ["ExecuteTool", ExecuteToolRequestSchema, (one) => ({ call: one, context: { conversationId: "k" } })],
  ["ExecuteTools", ExecuteToolsRequestSchema, (one) => ({ context: { conversationId: "k" }, calls: [one, one] })],
];
const compressions = { none: (bytes: Buffer) => bytes, gzip: gzipSync, br: brotliCompressSync };

function requestOf(
  [method, desc, wrap]: (typeof methods)[number],
  type: string,
  encoding: keyof typeof compressions,
  content: JsonValue = call,
): RawRequest {
  const json = wrap(content);
  const plain = type.includes("json")
    ? Buffer.from(JSON.stringify(json))
    : Buffer.from(toBinary(desc, fromJson(desc, json)));
  const bytes = compressions[encoding](plain);
  const isFramed = type !== "application/json" && type !== "application/proto";
  const name = type.includes("grpc") ? "grpc-encoding" : isFramed ? "connect-content-encoding" : "content-encoding";
  return {
    path: `/jackfield.v1.ToolExecutor/${method}`,
    headers: {
      "content-type": type,
      te: "trailers",
      ...(encoding !== "none" && { [name]: encoding }),
    },
    body: isFramed ? frame(bytes, encoding === "none" ? 0 : 1) : bytes,
  };
}

const [unary, stream] = methods as [(typeof methods)[number], (typeof methods)[number]];
const typesOf = [
  [
    unary,
    ["application/json", "application/proto", "application/grpc", "application/grpc+json", "application/grpc-web"],
  ],
  [
    stream,
    [
      "application/connect+json",
      "application/connect+proto",
      "application/grpc",
      "application/grpc+json",
      "application/grpc-web+json",
    ],
  ],
] as const;
const cases = typesOf.flatMap(([method, types]) =>
  types.flatMap((type) =>
    (["none", "gzip", "br"] as const).map((encoding) => [method[0], type, encoding, method] as const),
  ),
);

function messageOf({ trailers, body }: RawAnswer): string {
  const text = trailers["grpc-message"];
  return text === undefined ? body.toString() : decodeURIComponent(text);
}

describe("a large message", () => {
  test.for(cases)("of %s in %s, compression %s, is read as by Connect", async ([, type, encoding, method]) => {
    for (const version of [1, 2] as const) {
      executor.seen.length = 0;
      const [answer, expected] = await listeners.send(requestOf(method, type, encoding), version);
      expect(answer).toEqual(expected);
      expect(answer.status).toBe(200);
      for (const { call: seen, request } of executor.seen) {
        expect(seen.input).toEqual({ case: "arguments", value });
        expect(request.context?.conversationId).toBe("k");
      }
      expect(executor.seen.length).toBe(method === unary ? 2 : 4);
    }
  });

  const levels = (count: number): JsonValue => (count === 0 ? "x".repeat(5000) : [levels(count - 1)]);
  const refused: readonly [string, (request: RawRequest) => RawRequest, JsonValue, RegExp][] = [
    [
      "nested too deeply",
      (request) => request,
      { ...call, arguments: { a: levels(200) } },
      /maximum recursion depth of/,
    ],
    ["cut off", (request) => ({ ...request, body: request.body.subarray(0, 4800) }), call, /incomplete envelope/],
    [
      "that does not have the form of its type",
      (request) => request,
      { id: "x".repeat(5000), name: 7 },
      /ToolCall.name/,
    ],
  ];
  test.for(
    refused.flatMap(([title, spoil, content, reason]) =>
      (["application/connect+json", "application/grpc+json"] as const).map(
        (type) => [title, type, spoil, content, reason] as const,
      ),
    ),
  )("%s is refused on a stream in %s", async ([, type, spoil, content, reason]) => {
    executor.seen.length = 0;
    const answer = await listeners.sendToOurs(spoil(requestOf(stream, type, "none", content)), 1);
    expect(messageOf(answer)).toMatch(reason);
    expect(answer.trailers["grpc-status"] ?? answer.body.toString()).toMatch(/^3$|"invalid_argument"/);
    expect(executor.seen).toEqual([]);
  });

  test("is read as JSON if its content type says so in capitals", async () => {
    executor.seen.length = 0;
    const request = requestOf(stream, "application/connect+json", "none");
    request.headers["content-type"] = "Application/Connect+JSON";
    const [answer, expected] = await listeners.send(request, 1);
    expect(answer).toEqual(expected);
    expect(executor.seen[0]?.call.input).toEqual({ case: "arguments", value });
  });

  test.for(["application/connect+json", "application/grpc"])(
    "with more calls than allowed is refused in %s, however many they are",
    async (type) => {
      const [method, desc] = stream;
      const many = Array.from({ length: 10_000 }, () => ({ name: "echo" }));
      const request = requestOf([method, desc, () => ({ calls: many })], type, "none");
      const answer = await listeners.sendToOurs(request, 2);
      expect(messageOf(answer)).toContain("a request may hold at most 64 calls");
    },
  );

  test.for([
    ["ExecuteTool", unary, "application/json"],
    ["ExecuteTools", stream, "application/connect+json"],
  ] as const)(
    "of %s leaves turns to other requests between parsing, decoding and executing",
    async ([, method, type]) => {
      using counter = countTurns();
      const parse = JSON.parse;
      let parsed = 0;
      using _parse = vi.spyOn(JSON, "parse").mockImplementation((text: string) => {
        if (text.includes("xxxx")) parsed = counter.turn;
        return parse(text) as unknown;
      });
      let executed = 0;
      const { execute, executeAll } = executor;
      using _execute = vi.spyOn(executor, "execute").mockImplementation((...given) => {
        executed = counter.turn;
        return execute(...given);
      });
      using _executeAll = vi.spyOn(executor, "executeAll").mockImplementation((...given) => {
        executed = counter.turn;
        return executeAll(...given);
      });
      const turnsOf = async (length: number): Promise<number> => {
        const content = { ...call, arguments: { a: "x".repeat(length) } };
        await listeners.sendToOurs(requestOf(method, type, "none", content), 1);
        return executed - parsed;
      };
      expect(await turnsOf(200_000)).toBeGreaterThanOrEqual(2);
      expect(await turnsOf(20_000)).toBe(0);
    },
  );
});
