import { gzipSync, brotliCompressSync } from "node:zlib";
import { create, toBinary, toJson } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ExecuteToolRequestSchema } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { type BothListeners, startBothListeners } from "./both-listeners.ts";
import { frame, type RawAnswer, type RawRequest } from "./raw-exchange.ts";
import { createParts, createServices } from "./rpc-kit.ts";

const readMaxBytes = 65_536;
const parts = createParts();
const services = createServices(parts);
let listeners: BothListeners;

beforeAll(async () => {
  listeners = await startBothListeners(services, parts.telemetry, readMaxBytes);
});

afterAll(() => listeners[Symbol.asyncDispose]());

const path = "/jackfield.v1.ToolExecutor/ExecuteTool";

const word = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }).filter((text) => text.isWellFormed()),
  fc.constantFrom("__proto__", "é☎", "x".repeat(3000)),
);
const json = fc.jsonValue({ maxDepth: 3 });
const toolName = fc.oneof(
  fc.constantFrom("echo", "none", "x".repeat(200)),
  fc.integer({ min: 1, max: 16 }).map((code) => `fail-${code}`),
);
const message = fc.record({
  id: fc.oneof(word, fc.constant("i".repeat(257))),
  name: toolName,
  args: fc.dictionary(word, json, { maxKeys: 4 }),
  text: fc.option(word),
});

const contentTypes = [
  "application/json",
  "application/json; charset=utf-8",
  "application/json;charset=UTF-8",
  "Application/JSON",
  "application/proto",
  "application/grpc",
  "application/grpc+proto",
  "application/grpc+json",
  "application/grpc-web",
  "application/grpc-web+proto",
  "application/grpc-web+json",
] as const;
const codings = fc.constantFrom(undefined, "identity", "gzip", "br", "deflate", "gzip, br", "br;q=1, gzip", "");

/** A good request in any content type, with a possible defect. */
const generated = fc.record({
  message,
  contentType: fc.constantFrom(...contentTypes),
  packed: fc.constantFrom(undefined, undefined, "gzip", "br", "snappy"),
  accepted: codings,
  timeout: fc.constantFrom(undefined, undefined, "10S", "9x", "-1", "1000", "99999999999", "1 S"),
  metadata: fc.dictionary(
    fc.constantFrom("x-a", "x-b", "x-bin", "connect-protocol-version", "te", "user-agent"),
    fc.stringMatching(/^[a-z0-9]{0,9}$/),
  ),
  spoil: fc.constantFrom<"no" | "cut" | "twice" | "empty" | "noise">(
    "no",
    "no",
    "no",
    "cut",
    "twice",
    "empty",
    "noise",
  ),
  version: fc.constantFrom<1 | 2>(1, 2),
});

function requestOf(from: typeof generated extends fc.Arbitrary<infer T> ? T : never): RawRequest {
  const { id, name, args, text } = from.message;
  const input =
    text === null
      ? { case: "arguments" as const, value: args as never }
      : { case: "argumentsJson" as const, value: text };
  const request = create(ExecuteToolRequestSchema, { call: { id, name, input } });
  const lower = from.contentType.toLowerCase();
  const isConnect = !lower.includes("grpc");
  const isJson = lower.includes("json");
  let bytes: Uint8Array = isJson
    ? Buffer.from(JSON.stringify(toJson(ExecuteToolRequestSchema, request)))
    : toBinary(ExecuteToolRequestSchema, request);
  if (from.spoil === "noise") bytes = Buffer.concat([Buffer.from([7, 0x7b]), bytes]);
  if (from.packed === "gzip") bytes = gzipSync(bytes);
  if (from.packed === "br") bytes = brotliCompressSync(bytes);
  let body: Buffer = isConnect ? Buffer.from(bytes) : frame(bytes, from.packed === undefined ? 0 : 1);
  if (from.spoil === "cut") body = body.subarray(0, body.length - 1);
  if (from.spoil === "twice") body = Buffer.concat([body, body]);
  if (from.spoil === "empty") body = Buffer.alloc(0);
  const headers: Record<string, string> = { ...from.metadata, "content-type": from.contentType };
  if (from.metadata["te"] !== undefined) headers["te"] = "trailers";
  if (from.packed !== undefined) headers[isConnect ? "content-encoding" : "grpc-encoding"] = from.packed;
  if (from.accepted !== undefined) headers[isConnect ? "accept-encoding" : "grpc-accept-encoding"] = from.accepted;
  if (from.timeout !== undefined) headers[isConnect ? "connect-timeout-ms" : "grpc-timeout"] = from.timeout;
  return { path, headers, body };
}

/** Returns the code of an answer in any protocol. */
function codeOf(answer: RawAnswer): string {
  const status =
    answer.trailers["grpc-status"] ??
    answer.headers["grpc-status"] ??
    /grpc-status: (\d+)/.exec(answer.body.toString("latin1"))?.[1];
  if (status !== undefined) return status;
  const code = /"code":"(\w+)"/.exec(answer.body.toString())?.[1];
  return code ?? String(answer.status);
}

/** Intended differences from Connect: an error that it calls internal is the caller's mistake (3: invalid_argument). */
function isCorrected(ours: RawAnswer, theirs: RawAnswer): boolean {
  const stockInternal = codeOf(theirs) === "13" || codeOf(theirs) === "internal";
  const oursInvalid = codeOf(ours) === "3" || codeOf(ours) === "invalid_argument";
  return stockInternal && oursInvalid;
}

test("the fast path answers generated requests with the same bytes as Connect", async () => {
  let compared = 0;
  await fc.assert(
    fc.asyncProperty(generated, async (from) => {
      const request = requestOf(from);
      const [ours, theirs] = await listeners.send(request, from.version);
      if (isCorrected(ours, theirs)) return;
      expect(ours).toEqual(theirs);
      compared += 1;
    }),
    { numRuns: 400 },
  );
  expect(compared).toBeGreaterThan(200);
}, 120_000);

test("other methods, types and paths get the same answers as from Connect", async () => {
  const body = Buffer.from('{"call":{"name":"echo"}}');
  for (const version of [1, 2] as const) {
    for (const type of [
      "text/plain",
      "application/json\t; x",
      "multipart/form-data",
      "application/grpc-web-text",
      "application/xml",
      "application/json; charset=latin1",
    ]) {
      const [ours, theirs] = await listeners.send({ path, headers: { "content-type": type }, body }, version);
      expect(ours, type).toEqual(theirs);
      expect(ours.status).toBe(415);
    }
    for (const method of ["GET", "PUT", "DELETE"]) {
      const [ours, theirs] = await listeners.send({ method, path, headers: {}, body: Buffer.alloc(0) }, version);
      // Connect itself does not name the allowed methods.
      expect(ours, method).toEqual({ ...theirs, headers: { allow: "POST", ...theirs.headers } });
      expect(ours.status).toBe(405);
    }
    const [ours, theirs] = await listeners.send(
      { path: `${path}?x=1`, headers: { "content-type": "application/json" }, body },
      version,
    );
    expect(ours).toEqual(theirs);
    expect(ours.status).toBe(200);
  }
});
