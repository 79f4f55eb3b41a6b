import * as fc from "fast-check";
import { damaged, jsonText } from "../support/hostile-json.ts";
import { key } from "./service.ts";

/** Placeholder in ids for a text of the same length that is different each time the request is sent. */
export const salt = "~~salt~~";

/** Returns UTF-8 as the latin1 text in which requests are written. */
export const utf8 = (text: string): string => Buffer.from(text).toString("latin1");

/** Ids of callers: mostly unique, sometimes anything. */
export const id: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(`id-${salt}`) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "",
      "x",
      "..",
      ".",
      "a/b",
      "é",
      "\u0000",
      "\r\n",
      "${x}",
      "x".repeat(257),
      "😀".repeat(256),
    ),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
);

/** Names of tools, existing and unknown ones. */
export const toolName: fc.Arbitrary<string> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom("echo", "get_order_status", "update_ticket_priority", "get_weather", "check_inventory"),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom("constructor", "__proto__", "../x", "x".repeat(5000), "a b", "名", "\u0000", ""),
  },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 20 }) },
);

/** JSON text of arguments of the existing tools, valid or nearly valid. */
const fitting: fc.Arbitrary<string> = fc
  .record(
    {
      order_id: jsonText,
      ticket_id: jsonText,
      priority: fc.oneof(fc.constantFrom('"high"', '"low"'), jsonText),
      location: jsonText,
      unit: fc.oneof(fc.constantFrom('"celsius"'), jsonText),
      product_id: jsonText,
      warehouse: jsonText,
    },
    { requiredKeys: [] },
  )
  .map(objectText);

/** JSON text of arguments. */
export const argumentsText: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: jsonText },
  { weight: 3, arbitrary: fitting },
  { weight: 1, arbitrary: jsonText.map((text) => `{"a":${text}}`) },
);

/** Arguments as a platform sends them: as a text in the JSON, or as an object. */
export const argumentsMember: fc.Arbitrary<string> = fc.oneof(
  argumentsText.map((text) => JSON.stringify(text)),
  argumentsText,
);

/** Returns JSON text of an object whose members are JSON texts, without undefined members. */
export function objectText(members: Readonly<Record<string, string | undefined>>): string {
  const present = Object.entries(members).filter(([, text]) => text !== undefined);
  return `{${present.map(([name, text]) => `${JSON.stringify(name)}:${text}`).join(",")}}`;
}

/** Encodes each text as a JSON string. */
export const quoted = (text: fc.Arbitrary<string>): fc.Arbitrary<string> => text.map((one) => JSON.stringify(one));

/** Bodies of an entry point: mostly in its form, else damaged, or anything. */
export function bodies(wellFormed: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 6, arbitrary: wellFormed.map(utf8) },
    { weight: 2, arbitrary: damaged(wellFormed).map(utf8) },
    { weight: 1, arbitrary: jsonText.map(utf8) },
    { weight: 1, arbitrary: bytes },
  );
}

/** Any bytes. */
export const bytes: fc.Arbitrary<string> = fc
  .uint8Array({ maxLength: 200 })
  .map((array) => Buffer.from(array).toString("latin1"));

/** Values of headers: printable, or any byte that does not end a line, sometimes long. */
const headerValue: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    "",
    " ",
    "0",
    "-1",
    "1",
    "999999999999999999999",
    "true",
    "null",
    "*/*",
    "${x}",
    "{{x}}",
    ",",
    ";",
    "=",
    '"',
    "%00",
    "%",
    "\\",
  ),
  fc.string({ maxLength: 40 }),
  fc.uint8Array({ maxLength: 40 }).map((array) =>
    Buffer.from(array)
      .toString("latin1")
      .replaceAll(/[\r\n]/g, " "),
  ),
  fc
    .tuple(fc.string({ minLength: 1, maxLength: 3 }), fc.integer({ min: 1, max: 6000 }))
    .map(([unit, times]) => unit.repeat(times)),
);

/** Headers that the service reads, with values that it may understand. */
const known: Readonly<Record<string, readonly string[]>> = {
  accept: ["application/json", "text/event-stream", "application/json, text/event-stream", "*/*;q=0"],
  "accept-encoding": ["gzip", "br", "identity;q=0"],
  authorization: ["Bearer", "Bearer ", "Basic x", `Bearer ${key}x`, "Bearer a.b.c", "Bearer eyJhbGciOiJub25lIn0.e30."],
  baggage: ["a=b", "a=%", `a=${"b".repeat(5000)}`],
  "connect-accept-encoding": ["gzip"],
  "connect-content-encoding": ["gzip", "identity"],
  "connect-protocol-version": ["1", "2"],
  "connect-timeout-ms": ["1", "10000", "99999999999"],
  "content-encoding": ["gzip", "identity", "br"],
  "content-type": [
    "application/json",
    "application/json; charset=utf-8",
    "application/json; charset=latin1",
    "text/plain",
  ],
  expect: ["100-continue", "200-ok"],
  "grpc-encoding": ["gzip", "identity"],
  "grpc-timeout": ["1n", "1S", "99999999H", "1x"],
  host: ["localhost", "example.com", "127.0.0.1:1"],
  "idempotency-key": [`key-${salt}`, "x".repeat(256), "x".repeat(257)],
  "jackfield-conversation-id": ["c", "{{x}}", "x".repeat(257)],
  "mcp-method": ["tools/call", "=?base64?dG9vbHMvY2FsbA==?=", "=?base64?!?="],
  "mcp-name": ["echo", "=?base64?ZWNobw==?="],
  "mcp-protocol-version": ["2026-07-28", "2025-11-25", "1999-01-01"],
  origin: ["http://localhost", "https://app.cognigy.ai", "null"],
  prefer: ["wait=1", "wait=0", "wait=121", "respond-async, wait=1"],
  te: ["trailers", "gzip"],
  traceparent: ["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-0-0-0", "ff-"],
  tracestate: ["a=b", "a=b,".repeat(100), "="],
  upgrade: ["h2c", "websocket"],
  "x-api-key": [`${key}x`, ""],
  "x-cognigy-ai-api-key": [`${key}x`, ""],
  "x-forwarded-for": ["127.0.0.1", "::1, x"],
};
const names = Object.keys(known);

const header: fc.Arbitrary<readonly [string, string]> = fc.nat({ max: names.length - 1 }).chain((index) => {
  const name = names[index] ?? "";
  return fc.oneof(fc.constantFrom(...(known[name] ?? [""])), headerValue).map((value) => [name, value] as const);
});

/** Headers in addition to those that an entry point requires; mostly none. */
export const moreHeaders: fc.Arbitrary<readonly (readonly [string, string])[]> = fc.oneof(
  { weight: 3, arbitrary: fc.constant([]) },
  { weight: 2, arbitrary: fc.array(header, { maxLength: 3 }) },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.tuple(fc.stringMatching(/^[a-z][a-z0-9-]{0,15}$/), headerValue), { maxLength: 40 })
      .map((list) => list.map(([name, value]) => [`x-${name}`, value] as const)),
  },
);

/** A complete set of headers: some of the correct ones omitted or replaced, others added. */
export function headersWith(
  right: readonly (readonly [string, string])[],
): fc.Arbitrary<readonly (readonly [string, string])[]> {
  return fc
    .tuple(fc.subarray([...right], { minLength: right.length - 1 }), fc.nat({ max: 5 }), moreHeaders)
    .map(([some, chance, more]) => [...(chance === 0 ? some : right), ...more]);
}
