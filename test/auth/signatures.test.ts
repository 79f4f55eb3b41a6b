import { createHmac } from "node:crypto";
import type { IncomingMessage } from "node:http";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createCredentialCheck, type Credentials, isSignedRequest } from "../../src/auth/signed-request.ts";
import { Secret } from "../../src/secret.ts";

// The published example of Standard Webhooks.
const vector = {
  secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
  id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
  timestamp: "1614265330",
  body: '{"test": 2432232314}',
  signature: "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
};
const vectorTime = 1_614_265_330_000;

const headersOf = ({ id, timestamp, signature }: typeof vector): Record<string, string> => ({
  "Webhook-Id": id,
  "webhook-timestamp": timestamp,
  "webhook-signature": signature,
});

const request = (headers: Record<string, string> | readonly string[], method = "POST") =>
  ({ method, rawHeaders: Array.isArray(headers) ? headers : Object.entries(headers).flat() }) as IncomingMessage;

interface Named {
  readonly name: string;
}

const nobody: Named = { name: "open" };
const keyHeaders = [{ name: "x-api-key" }];

/** Returns the sender of a request, or the reason why there is none. */
function sender(
  credentials: readonly Credentials<Named>[],
  from: IncomingMessage,
  body: string | Buffer,
  now = vectorTime,
): string {
  const found = createCredentialCheck(credentials, keyHeaders, nobody, () => now)(from);
  if (found === undefined) return "nobody";
  if (!isSignedRequest(found)) return found.name;
  return found.problem ?? found.prove(Buffer.from(body))?.value.name ?? "wrong";
}

const signer = (scheme: "hub" | "standard-webhooks", ...secrets: string[]): Credentials<Named> => ({
  value: { name: scheme },
  keys: [],
  signature: { scheme, secrets: secrets.map((secret) => new Secret(secret)), replayWindowS: 300 },
});
const standard = signer("standard-webhooks", vector.secret);

describe("Standard Webhooks (hazard 22)", () => {
  test("the published example is valid, and authenticates its id", () => {
    const found = createCredentialCheck([standard], keyHeaders, nobody, () => vectorTime)(request(headersOf(vector)));
    if (found === undefined || !isSignedRequest(found)) throw new TypeError("it was not taken for a signed request");
    expect(found.prove(Buffer.from(vector.body))).toEqual({ value: standard.value, messageId: vector.id });
  });

  test("the prefix of the secret is optional", () => {
    const bare = signer("standard-webhooks", vector.secret.slice(6));
    expect(sender([bare], request(headersOf(vector)), vector.body)).toBe("standard-webhooks");
  });

  test.each<[seconds: number, expected: string]>([
    [300, "standard-webhooks"],
    [-300, "standard-webhooks"],
    [301, "webhook-timestamp is outside the replay window"],
    [-301, "webhook-timestamp is outside the replay window"],
  ])("with our clock %i s from the message's time: %s", (seconds, expected) => {
    expect(sender([standard], request(headersOf(vector)), vector.body, vectorTime + seconds * 1000)).toBe(expected);
  });

  test.each<[what: string, change: Partial<typeof vector>]>([
    ["a timestamp that is no number", { timestamp: "NaN" }],
    ["an empty timestamp", { timestamp: "" }],
    ["a negative timestamp", { timestamp: "-1614265330" }],
    ["a timestamp with a fraction", { timestamp: "1614265330.0" }],
    ["another id", { id: "msg_other" }],
    ["an id of two lines", { id: "a\u0000b" }],
    ["another second", { timestamp: "1614265331" }],
    ["no version", { signature: vector.signature.slice(3) }],
    ["another version", { signature: `v1a${vector.signature.slice(2)}` }],
    ["an empty signature", { signature: "v1," }],
    ["a cut signature", { signature: vector.signature.slice(0, -2) }],
    ["a lengthened signature", { signature: `${vector.signature}A` }],
    ["50 signatures, the last one right", { signature: `${"v1,AAAA ".repeat(49)}${vector.signature}` }],
  ])("%s is refused", (_what, change) => {
    expect(sender([standard], request(headersOf({ ...vector, ...change })), vector.body)).not.toBe("standard-webhooks");
  });

  test("one of several signatures in a header must match", () => {
    const other = `v1,${Buffer.alloc(32, 7).toString("base64")}`;
    const among = (signature: string) => request(headersOf({ ...vector, signature }));
    expect(sender([standard], among(`${other} v1a,AA== ${vector.signature}`), vector.body)).toBe("standard-webhooks");
    expect(sender([standard], among(`${other} v1a,AA==`), vector.body)).toBe("wrong");
  });

  test("a duplicated header is refused", () => {
    const raw = Object.entries(headersOf(vector)).flat();
    for (const name of ["webhook-id", "webhook-timestamp", "WEBHOOK-SIGNATURE"]) {
      expect(sender([standard], request([...raw, name, "x"]), vector.body)).toBe("a webhook header was sent twice");
    }
  });
});

test("a body with one changed byte is refused (hazard 22)", () => {
  fc.assert(
    fc.property(fc.nat(vector.body.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
      const body = Buffer.from(vector.body);
      body[at] = (body[at]! + by) % 256;
      expect(sender([standard], request(headersOf(vector)), body)).toBe("wrong");
    }),
  );
});

describe("X-Hub-Signature-256", () => {
  // GitHub's published example.
  const secret = "It's a Secret to Everybody";
  const hex = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
  const hub = signer("hub", secret);
  const signed = (value: string) => request({ "X-Hub-Signature-256": value });

  test("the published example is valid in hex and in base64", () => {
    expect(sender([hub], signed(`sha256=${hex}`), "Hello, World!")).toBe("hub");
    expect(sender([hub], signed(`sha256=${Buffer.from(hex, "hex").toString("base64")}`), "Hello, World!")).toBe("hub");
  });

  test.each([hex, `sha1=${hex}`, `sha256=${hex.slice(1)}`, `sha256=${hex}00`, "sha256=", `sha256= ${hex}`, ""])(
    "%o is refused",
    (value) => expect(sender([hub], signed(value), "Hello, World!")).not.toBe("hub"),
  );

  test("another body, and a duplicated header, are refused", () => {
    expect(sender([hub], signed(`sha256=${hex}`), "Hello, World?")).toBe("wrong");
    const twice = ["x-hub-signature-256", `sha256=${hex}`, "X-Hub-Signature-256", `sha256=${hex}`];
    expect(sender([hub], request(twice), "Hello, World!")).toBe("X-Hub-Signature-256 was sent twice");
    expect(sender([hub], request({}), "Hello, World!")).toBe("X-Hub-Signature-256 is missing");
  });

  test("does not authenticate a request without a body, because its signature would be the same for each", () => {
    const empty = createHmac("sha256", secret).update("").digest("hex");
    expect(sender([hub], request({ "x-hub-signature-256": `sha256=${empty}` }, "GET"), "")).toBe("nobody");
  });
});

test("two secrets are valid while one replaces the other", () => {
  const rotated = signer("standard-webhooks", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", vector.secret);
  expect(sender([rotated], request(headersOf(vector)), vector.body)).toBe("standard-webhooks");
  const gone = signer("standard-webhooks", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
  expect(sender([gone], request(headersOf(vector)), vector.body)).toBe("wrong");
});

test("a key finds its owner, who must also sign if a signature is configured", () => {
  const both: Credentials<Named> = { ...standard, value: { name: "both" }, keys: [new Secret("key-of-both")] };
  const plain: Credentials<Named> = { value: { name: "plain" }, keys: [new Secret("key-of-plain")] };
  const send = (headers: Record<string, string>) => sender([both, plain], request(headers), vector.body);
  expect(send({ "x-api-key": "key-of-both", ...headersOf(vector) })).toBe("both");
  expect(send({ "x-api-key": "key-of-both" })).toMatch(/missing/);
  expect(send(headersOf(vector))).toBe("nobody");
  expect(send({ "x-api-key": "key-of-plain" })).toBe("plain");
  expect(send({ "x-api-key": "wrong", ...headersOf(vector) })).toBe("nobody");
});

test("a signature alone finds its owner among several, even beside an unknown key", () => {
  const other = { ...signer("standard-webhooks", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"), value: { name: "other" } };
  const hub = signer("hub", "text");
  expect(sender([other, hub, standard], request(headersOf(vector)), vector.body)).toBe("standard-webhooks");
  const proxied = { "x-api-key": "of a proxy in front", ...headersOf(vector) };
  expect(sender([other, hub, standard], request(proxied), vector.body)).toBe("standard-webhooks");
});
