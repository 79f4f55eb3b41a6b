import { create, type DescMethod, fromJson, type JsonValue, toBinary } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import * as fc from "fast-check";
import { expect } from "vitest";
import { Calls } from "../../../gen/jackfield/v1/calls_pb.ts";
import { Conversations } from "../../../gen/jackfield/v1/conversations_pb.ts";
import { Jobs } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { ExecuteToolRequestSchema, ToolExecutor } from "../../../gen/jackfield/v1/tool_executor_pb.ts";
import { ToolRegistry } from "../../../gen/jackfield/v1/tool_registry_pb.ts";
import { expectConnectError, expectNotOurFault, grpcStatuses, json } from "../answers.ts";
import { argumentsText, bodies, bytes, headersWith, id, objectText, quoted, toolName, utf8 } from "../arbitraries.ts";
import { type Door, single } from "../door.ts";
import type { FuzzRequest } from "../exchange.ts";
import { jsonText } from "../../support/hostile-json.ts";
import { key } from "../service.ts";

const bearer = ["authorization", `Bearer ${key}`] as const;

const methods: readonly DescMethod[] = [ToolExecutor, Jobs, ToolRegistry, Calls, Conversations].flatMap(
  ({ methods: all }) => all,
);
const { NO_SIDE_EFFECTS } = MethodOptions_IdempotencyLevel;
const pathOf = ({ parent, name }: DescMethod): string => `/${parent.typeName}/${name}`;
const hot: readonly DescMethod[] = [ToolExecutor.method.executeTool, ToolExecutor.method.executeTools];

const method: fc.Arbitrary<DescMethod> = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(...hot) },
  { weight: 1, arbitrary: fc.constantFrom(...methods) },
);

const call = fc
  .record({ id: quoted(id), name: quoted(toolName), text: argumentsText, asText: fc.boolean() })
  .map(({ id: callId, name, text, asText }) =>
    objectText({
      id: callId,
      name,
      ...(asText ? { argumentsJson: JSON.stringify(text) } : { arguments: text }),
    }),
  );
const context = fc
  .record(
    { conversationId: quoted(id), sessionId: quoted(id), runId: quoted(id), source: quoted(id) },
    { requiredKeys: [] },
  )
  .map(objectText);
const duration = fc.oneof(
  fc.constantFrom('"1s"', '"0s"', '"-1s"', '"0.000000001s"', '"315576000000s"', '"x"'),
  jsonText,
);
const calls = fc.array(call, { maxLength: 3 }).map((list) => `[${list.join(",")}]`);
const pageSize = fc.constantFrom("0", "1", "1000", "-1", "2147483647", "1e10", '"5"', "0.5");

/** A message of any method, with members of all methods. */
const message: fc.Arbitrary<string> = fc
  .record(
    {
      call,
      calls,
      context,
      answerWithin: duration,
      job: fc
        .record({ id: quoted(id), calls, context, source: quoted(id) }, { requiredKeys: ["calls"] })
        .map(objectText),
      callId: quoted(id),
      id: quoted(id),
      name: quoted(toolName),
      message: quoted(fc.string()),
      conversationId: quoted(id),
      runId: quoted(id),
      state: fc.constantFrom('"JOB_STATE_DEAD"', "1", "99", '"X"'),
      pageSize,
      pageToken: quoted(fc.string()),
    },
    { requiredKeys: ["call"] },
  )
  .map(objectText);

/** Reduces a message to the members that its method has. */
function narrowed(text: string, { input }: DescMethod): string {
  try {
    const members = JSON.parse(text) as Record<string, JsonValue>;
    const own = input.fields.map(({ jsonName }) => jsonName);
    return JSON.stringify(
      Object.fromEntries(own.filter((name) => name in members).map((name) => [name, members[name]])),
    );
  } catch {
    return text;
  }
}

/** A message of Connect's streams and of gRPC: flags, length, bytes. */
function framed(body: string, flags = 0, length = body.length): string {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length >>> 0, 1);
  return head.toString("latin1") + body;
}

const openEnded = ({ methodKind }: DescMethod): boolean => methodKind !== "unary";

/** Methods that only read, called by GET. */
const get: fc.Arbitrary<FuzzRequest> = fc
  .record({
    one: fc.constantFrom(...methods.filter(({ idempotency }) => idempotency === NO_SIDE_EFFECTS)),
    encoding: fc.constantFrom("json", "json", "proto", "x"),
    base64: fc.constantFrom("0", "1"),
    compression: fc.constantFrom("", "identity", "gzip"),
    text: fc.oneof(message.map(utf8), bytes),
    headers: headersWith([bearer]),
  })
  .map(({ one, text, headers, ...query }) => {
    const value = query.base64 === "1" ? Buffer.from(text, "latin1").toString("base64url") : encodeURIComponent(text);
    const rest = new URLSearchParams(query);
    return {
      method: "GET",
      path: `${pathOf(one)}?connect=v1&${rest.toString()}&message=${value.slice(0, 8000)}`,
      headers,
      body: "",
    };
  });

/** Connect in JSON: unary methods as they are, streams in frames. */
export const connectJson: Door = {
  name: "connect-json",
  requests: fc.oneof(
    { weight: 1, arbitrary: single(get) },
    {
      weight: 6,
      arbitrary: single(
        method.chain((one) => {
          const stream = openEnded(one);
          const body = bodies(message.map((text) => narrowed(text, one)));
          const type = `application/${stream ? "connect+json" : "json"}`;
          return fc
            .record({ body, headers: headersWith([["content-type", type], bearer]) })
            .map((parts): FuzzRequest => ({
              method: "POST",
              path: pathOf(one),
              headers: parts.headers,
              body: stream ? framed(parts.body) : parts.body,
              openEnded: stream,
            }));
        }),
      ),
    },
  ),
  check({ status, text, headers, cut }) {
    expectNotOurFault(status, text);
    // A content type of no RPC protocol is refused without a body.
    if (status === 415) return;
    const type = headers.get("content-type");
    if (type === "application/json" && !cut) {
      const body = json(text);
      if (status !== 200 && "code" in body) expectConnectError(body);
      return;
    }
    if (type !== "application/connect+json" || cut) return;
    // The frame that ends the stream: a flag, four bytes of length, and an object.
    const frame = text.slice(text.lastIndexOf("\u0002\u0000"));
    const end = json(frame.slice(frame.search(/\{["}]/)));
    if (end["error"] !== undefined) expectConnectError(end["error"] as Record<string, unknown>);
  },
};

const valid: fc.Arbitrary<string> = fc.tuple(method, message).map(([one, text]) => {
  try {
    const value = fromJson(one.input, JSON.parse(narrowed(text, one)) as JsonValue);
    return Buffer.from(toBinary(one.input, value)).toString("latin1");
  } catch {
    return Buffer.from(toBinary(ExecuteToolRequestSchema, create(ExecuteToolRequestSchema))).toString("latin1");
  }
});

const varint = (value: number): string => {
  let rest = value;
  let text = "";
  for (; rest > 127; rest = Math.floor(rest / 128)) text += String.fromCharCode((rest % 128) + 128);
  return text + String.fromCharCode(rest);
};

/** Bytes in the wire format: fields of any number and type, nested. */
const { wire } = fc.letrec<{ wire: string; field: string }>((tie) => ({
  wire: fc.array(tie("field"), { maxLength: 5, depthIdentifier: "wire" }).map((fields) => fields.join("")),
  field: fc
    .tuple(
      fc.integer({ min: 0, max: 12 }),
      fc.constantFrom(0, 1, 2, 2, 2, 3, 4, 5, 7),
      fc.oneof({ depthSize: "small", depthIdentifier: "wire" }, bytes, tie("wire"), argumentsText.map(utf8)),
    )
    .map(([number, type, inner]) => {
      const tag = varint(number * 8 + type);
      if (type === 0) return tag + varint(inner.length * 12_345);
      if (type === 1 || type === 5) return tag + inner.padEnd(8, "\u00ff").slice(0, type === 1 ? 8 : 4);
      return type === 2 ? tag + varint(inner.length) + inner : tag + inner;
    }),
}));

const spoiled = fc.tuple(valid, fc.nat(), fc.nat({ max: 4 }), bytes).map(([whole, seed, length, put]) => {
  const at = seed % (whole.length + 1);
  return whole.slice(0, at) + put.slice(0, 4) + whole.slice(at + length);
});

const levels = fc.integer({ min: 1, max: 20_000 }).map((count) => {
  // A Struct in a Value in a Struct: the field `arguments` of a call, nested as deep as the length of a message allows.
  let inner = "";
  for (let level = 0; level < count && inner.length < 500_000; level += 1) inner = `\n${varint(inner.length)}${inner}`;
  return inner;
});

const binary: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: valid },
  { weight: 3, arbitrary: spoiled },
  { weight: 3, arbitrary: wire },
  { weight: 1, arbitrary: bytes },
  { weight: 1, arbitrary: levels },
);

const frames: fc.Arbitrary<string> = fc.oneof(
  { weight: 8, arbitrary: binary.map((body) => framed(body)) },
  { weight: 1, arbitrary: fc.tuple(binary, fc.nat({ max: 255 })).map(([body, flags]) => framed(body, flags)) },
  { weight: 1, arbitrary: fc.tuple(binary, fc.maxSafeNat()).map(([body, length]) => framed(body, 0, length)) },
  { weight: 1, arbitrary: fc.array(binary, { maxLength: 3 }).map((list) => list.map((body) => framed(body)).join("")) },
  { weight: 1, arbitrary: bytes },
);

const foreign = [
  "/grpc.health.v1.Health/Check",
  "/grpc.health.v1.Health/Watch",
  "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
  "/jackfield.v1.ToolExecutor/NoSuchMethod",
  "/jackfield.v1.NoSuchService/X",
];

/** gRPC over HTTP/2, in protobuf's bytes. */
export const grpc: Door = {
  name: "grpc",
  requests: single(
    fc
      .record({
        path: fc.oneof(
          { weight: 8, arbitrary: method.map(pathOf) },
          { weight: 1, arbitrary: fc.constantFrom(...foreign) },
        ),
        headers: headersWith([["content-type", "application/grpc"], ["te", "trailers"], bearer]),
        body: frames,
      })
      .map((parts): FuzzRequest => {
        return { http2: true, method: "POST", openEnded: !parts.path.includes("ExecuteTool"), ...parts };
      }),
  ),
  check({ status, headers, trailers, text, cut }) {
    expectNotOurFault(status, text);
    if (status !== 200 || cut) return;
    if (headers.get("content-type")?.startsWith("application/grpc") !== true) return;
    const found = trailers.get("grpc-status") ?? headers.get("grpc-status");
    const words = trailers.get("grpc-message") ?? headers.get("grpc-message");
    expect(grpcStatuses, `${found}: ${words}`).toContain(found);
  },
};
