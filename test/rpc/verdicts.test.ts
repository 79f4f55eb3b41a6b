import * as http2 from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary, type JsonObject } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ExecuteToolRequestSchema, ExecuteToolsRequestSchema } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { exchange1, exchange2, frame, type RawAnswer } from "./raw-exchange.ts";
import {
  createEchoExecutor,
  createListener,
  createOpenFront,
  createParts,
  createServices,
  createWatchedTelemetry,
  local,
  openListener,
  serve,
} from "./rpc-kit.ts";

const limit = 65_536;
const executor = createEchoExecutor();
const watched = createWatchedTelemetry();
const parts = createParts({ executor, telemetry: watched.telemetry });
const services = createServices(parts);
let open: Awaited<ReturnType<typeof serve>>;
let keyed: Awaited<ReturnType<typeof serve>>;
let session: http2.ClientHttp2Session;

beforeAll(async () => {
  open = await serve(await openListener(services, watched.telemetry, limit));
  keyed = await serve(
    await createListener({
      services,
      telemetry: watched.telemetry,
      messages: { readMaxBytes: limit, maxItems: parts.limits.callsPerRequest },
      front: createOpenFront(watched.telemetry, (header) => (header === "Bearer k" ? local : undefined)),
      corsOrigins: [],
    }),
  );
  session = http2.connect(open.url2);
});

afterAll(async () => {
  session.close();
  await open[Symbol.asyncDispose]();
  await keyed[Symbol.asyncDispose]();
});

const unary = "/jackfield.v1.ToolExecutor/ExecuteTool";
const stream = "/jackfield.v1.ToolExecutor/ExecuteTools";

const names = new Map([
  ["3", "invalid_argument"],
  ["8", "resource_exhausted"],
  ["16", "unauthenticated"],
  ["4", "deadline_exceeded"],
  ["13", "internal"],
  ["12", "unimplemented"],
]);

function verdict(answer: RawAnswer): string {
  const text = answer.body.toString("latin1");
  const status =
    answer.trailers["grpc-status"] ?? answer.headers["grpc-status"] ?? /grpc-status: (\d+)/.exec(text)?.[1];
  if (status !== undefined) return status === "0" ? "ok" : (names.get(status) ?? status);
  return /"code":"(\w+)"/.exec(text)?.[1] ?? (answer.status === 200 ? "ok" : String(answer.status));
}

/** Sends the same bytes in every protocol of one codec, unary and as a stream. */
async function inEveryProtocol(
  codec: "json" | "proto",
  bytes: Uint8Array,
  headers: Record<string, string> = {},
  many = bytes,
): Promise<Record<string, string>> {
  const send = (path: string, type: string, body: Uint8Array) =>
    exchange2(session, { path, headers: { "content-type": type, ...headers }, body });
  const answers = {
    connect: await send(unary, `application/${codec}`, bytes),
    grpc: await send(unary, `application/grpc+${codec}`, frame(bytes)),
    grpcWeb: await send(unary, `application/grpc-web+${codec}`, frame(bytes)),
    connectStream: await send(stream, `application/connect+${codec}`, frame(many)),
    grpcStream: await send(stream, `application/grpc+${codec}`, frame(many)),
    grpcWebStream: await send(stream, `application/grpc-web+${codec}`, frame(many)),
  };
  return Object.fromEntries(Object.entries(answers).map(([name, answer]) => [name, verdict(answer)]));
}

const all = (code: string) => ({
  connect: code,
  grpc: code,
  grpcWeb: code,
  connectStream: code,
  grpcStream: code,
  grpcWebStream: code,
});

test("a malformed message is invalid_argument in every protocol", async () => {
  expect(await inEveryProtocol("json", Buffer.from("{"))).toEqual(all("invalid_argument"));
  expect(await inEveryProtocol("json", Buffer.from([0x22, 0xff, 0x22]))).toEqual(all("invalid_argument"));
  expect(await inEveryProtocol("proto", Buffer.from([0x0a, 0x7f, 1]))).toEqual(all("invalid_argument"));
});

test("a message over the limit is resource_exhausted in every protocol", async () => {
  const large = Buffer.alloc(limit + 1, 0x20);
  expect(await inEveryProtocol("json", large)).toEqual(all("resource_exhausted"));
  expect(await inEveryProtocol("proto", large)).toEqual(all("resource_exhausted"));
});

test("a body over the limit is refused even without a length (hazard 6)", async () => {
  const answer = await exchange1(open.url1, {
    path: unary,
    headers: { "content-type": "application/json", "transfer-encoding": "chunked" },
    body: Buffer.alloc(limit * 3, 0x20),
  });
  expect([answer.status, verdict(answer)]).toEqual([429, "resource_exhausted"]);
});

test("a small body that decompresses to a large one is resource_exhausted (hazard 7)", async () => {
  const bomb = gzipSync(Buffer.alloc(20_000_000, 0x20));
  const connect = await exchange1(open.url1, {
    path: unary,
    headers: { "content-type": "application/json", "content-encoding": "gzip" },
    body: bomb,
  });
  const grpc = await exchange2(session, {
    path: unary,
    headers: { "content-type": "application/grpc", "grpc-encoding": "gzip" },
    body: frame(bomb, 1),
  });
  const streamed = await exchange2(session, {
    path: stream,
    headers: { "content-type": "application/grpc", "grpc-encoding": "gzip" },
    body: frame(bomb, 1),
  });
  expect([verdict(connect), verdict(grpc), verdict(streamed)]).toEqual([
    "resource_exhausted",
    "resource_exhausted",
    "resource_exhausted",
  ]);
});

test("arguments reach the executor unchanged, on every path", async () => {
  for (const [args, text] of [
    ["1e999", '{"n":1e999}'],
    ["__proto__", '{"__proto__":{"x":1}}'],
    ["duplicate keys", '{"a":1,"a":2}'],
  ] as const) {
    for (const [path, type, body] of [
      [unary, "application/json", Buffer.from(`{"call":{"name":"none","arguments":${text}}}`)],
      [stream, "application/connect+json", frame(Buffer.from(`{"calls":[{"name":"none","arguments":${text}}]}`))],
    ] as const) {
      executor.seen.length = 0;
      await exchange1(open.url1, { path, headers: { "content-type": type }, body });
      expect(executor.seen.length, `${args} ${path}`).toBe(1);
      const value = executor.seen[0]?.call.input.value as JsonObject;
      if (args === "1e999") expect(value["n"]).toBe(Infinity);
      else if (args === "__proto__") expect(Object.keys(value)).toEqual(["__proto__"]);
      else expect(value["a"]).toBe(2);
    }
  }
});

function nested(depth: number): JsonObject {
  let value: JsonObject = { end: 1 };
  for (let level = 1; level < depth; level += 1) value = { a: value };
  return value;
}

test("nesting is accepted to the same depth in JSON and in binary", async () => {
  const depths = [33, 100, 190, 300];
  for (const depth of depths) {
    const call = { name: "none", input: { case: "arguments" as const, value: nested(depth) } };
    const binary = toBinary(ExecuteToolRequestSchema, create(ExecuteToolRequestSchema, { call }));
    const manyBinary = toBinary(ExecuteToolsRequestSchema, create(ExecuteToolsRequestSchema, { calls: [call] }));
    const json = { name: "none", arguments: call.input.value };
    const expected = all(depth < 197 ? "ok" : "invalid_argument");
    expect(await inEveryProtocol("proto", binary, {}, manyBinary), `binary ${depth}`).toEqual(expected);
    expect(
      await inEveryProtocol(
        "json",
        Buffer.from(JSON.stringify({ call: json })),
        {},
        Buffer.from(JSON.stringify({ calls: [json] })),
      ),
      `json ${depth}`,
    ).toEqual(expected);
  }
});

test("an invalid deadline is invalid_argument, one that passes deadline_exceeded (hazard 34)", async () => {
  const slow = Buffer.from('{"call":{"name":"slow"}}');
  const many = Buffer.from('{"calls":[{"name":"slow"}]}');
  for (const value of ["0", "-1", "9x", "99999999H", ""]) {
    const odd = await inEveryProtocol(
      "json",
      slow,
      { "grpc-timeout": value === "0" ? "0m" : value, "connect-timeout-ms": value },
      many,
    );
    expect(odd, value).toEqual(all("invalid_argument"));
  }
  expect(await inEveryProtocol("json", slow, { "grpc-timeout": "50m", "connect-timeout-ms": "50" }, many)).toEqual(
    all("deadline_exceeded"),
  );
});

test("an internal error reveals nothing and is logged", async () => {
  const answer = await exchange1(open.url1, {
    path: unary,
    headers: { "content-type": "application/json" },
    body: Buffer.from('{"call":{"name":"throw"}}'),
  });
  expect(JSON.parse(answer.body.toString())).toEqual({ code: "internal", message: "internal error" });
  expect(
    await inEveryProtocol(
      "json",
      Buffer.from('{"call":{"name":"throw"}}'),
      {},
      Buffer.from('{"calls":[{"name":"throw"}]}'),
    ),
  ).toEqual(all("internal"));
  expect(watched.lines.some((line) => line.includes("an RPC failed"))).toBe(true);
});

test("without a valid key only health answers, and two keys count as none", async () => {
  const body = Buffer.from('{"call":{"name":"echo"}}');
  const ask = async (headers: Record<string, string>, path = unary, type = "application/json", bytes: Buffer = body) =>
    verdict(await exchange1(keyed.url1, { path, headers: { "content-type": type, ...headers }, body: bytes }));
  expect(await ask({})).toBe("unauthenticated");
  expect(await ask({ authorization: "Bearer x" })).toBe("unauthenticated");
  expect(await ask({ authorization: "Bearer k" })).toBe("ok");
  expect(await ask({}, stream, "application/connect+json", frame(Buffer.from('{"calls":[{"name":"echo"}]}')))).toBe(
    "unauthenticated",
  );
  expect(await ask({}, "/grpc.health.v1.Health/Check", "application/json", Buffer.from("{}"))).toBe("ok");
  expect(
    await ask(
      {},
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      "application/connect+json",
      Buffer.alloc(0),
    ),
  ).toBe("505");
});

test("a method that does not exist is unimplemented", async () => {
  const grpc = await exchange2(session, {
    path: "/jackfield.v1.ToolExecutor/Nothing",
    headers: { "content-type": "application/grpc" },
    body: frame(Buffer.alloc(0)),
  });
  expect(verdict(grpc)).toBe("unimplemented");
  const connect = await exchange1(open.url1, {
    path: "/jackfield.v1.Nothing/At",
    headers: { "content-type": "application/json" },
    body: Buffer.from("{}"),
  });
  expect([connect.status, verdict(connect)]).toEqual([404, "unimplemented"]);
});

test("a client that disconnects ends the call's signal (hazard 33)", async () => {
  executor.seen.length = 0;
  const other = http2.connect(open.url2);
  const request = other.request({ ":method": "POST", ":path": unary, "content-type": "application/json" });
  request.on("error", () => {});
  request.end('{"call":{"name":"slow"}}');
  await expect.poll(() => executor.seen.length).toBe(1);
  request.close(http2.constants.NGHTTP2_CANCEL);
  await expect.poll(() => executor.seen[0]?.request.cancellation?.cancelled?.code).toBe(Code.Canceled);
  other.close();
  expect(
    watched.served.some(
      ({ method, code }) => method === "jackfield.v1.ToolExecutor/ExecuteTool" && code === "canceled",
    ),
  ).toBe(true);
});
