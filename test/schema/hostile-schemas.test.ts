import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import type { JsonObject } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, onTestFinished, test } from "vitest";
import { caller } from "../support/executor.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { embedded, httpTo, refusal, startReplica, startTarget, tool } from "../remote-tools/replica.ts";

const withA = (a: JsonObject): JsonObject => ({ type: "object", properties: { a } });

function nested(levels: number): JsonObject {
  let schema: JsonObject = { type: "string" };
  for (let level = 0; level < levels; level++) schema = withA(schema);
  return schema;
}

const many = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index));
const draft = (name: string): JsonObject => ({ ...withA({}), $schema: name });

/** Refused schemas, and a part of the reason. */
const refused: Record<string, [JsonObject, RegExp]> = {
  "4,000 properties": [
    { type: "object", properties: Object.fromEntries(many(4000, (index) => [`p${index}`, {}])) },
    /2000 properties/,
  ],
  "2,000 levels": [nested(2000), /deeper than 32 levels/],
  "20,000 alternatives": [{ type: "object", anyOf: many(20_000, () => ({})) }, /anyOf has more than 256 branches/],
  "20,000 parts": [withA({ items: many(20_000, () => ({})) }), /10000 parts/],
  "deep default values": [withA({ default: nested(40) }), /deeper than 32 levels/],
  "thousands of counted patterns": [
    { type: "object", patternProperties: Object.fromEntries(many(200, (index) => [`${index}(x|i){0,900}$`, {}])) },
    /its counts repeat too much/,
  ],
  "thousands of patterns": [
    { type: "object", patternProperties: Object.fromEntries(many(3000, (index) => [`^${index}`, {}])) },
    /more than 256 patterns/,
  ],
  "a pattern of 900,000 characters": [withA({ pattern: "(?:ab)".repeat(150_000) }), /16384 characters together/],
  "an enum of 60,000 values": [withA({ enum: many(60_000, (index) => index) }), /2000 values/],
  "an asynchronous validator": [{ ...withA({}), $async: true }, /\$async/],
  "draft-04": [draft("http://json-schema.org/draft-04/schema#"), /draft-07 and 2020-12/],
  "2019-09": [draft("https://json-schema.org/draft/2019-09/schema"), /draft-07 and 2020-12/],
  "a pattern that is none": [withA({ type: "string", pattern: "(" }), /regexp/],
  "a pattern with a look-behind": [withA({ type: "string", pattern: "(?<=a)b" }), /look-around/],
  "a pattern with a back-reference": [withA({ type: "string", pattern: "(a)\\1" }), /back-references/],
  "a required name without a property": [{ ...withA({}), required: ["b"] }, /"b".*not in properties/],
  "a reference to nowhere": [withA({ $ref: "#/$defs/none" }), /reference/],
};

describe("a schema is refused with a message, and the tool is not listed", () => {
  for (const [what, [inputSchema, words]] of Object.entries(refused)) {
    testRequirement("002.2", what, async () => {
      const app = await startReplica(await embedded());
      const refusedWith = await refusal(app.register({ ...tool, inputSchema }, httpTo("https://example.com/")));
      expect(refusedWith.code).toBe(Code.InvalidArgument);
      expect(refusedWith.message).toMatch(words);
      expect(refusedWith.message.length).toBeLessThan(1000);
      expect(app.registry.list(caller.tenant)).toEqual([]);
      expect(app.log.join().length).toBeLessThan(2000);
    });
  }

  for (const [word, better] of Object.entries({
    dict: "object",
    float: "number",
    any: "no type at all",
    tuple: "array",
    String: "string",
  })) {
    testRequirement("002.2", `the type word ${word}: the reason names the right one (hazard 46)`, async () => {
      const app = await startReplica(await embedded());
      const { code, message: words } = await refusal(
        app.register({ ...tool, inputSchema: withA({ type: word }) }, httpTo("https://example.com/")),
      );
      expect(code).toBe(Code.InvalidArgument);
      expect(words).toContain(`"${word}"`);
      expect(words).toContain(`use ${better}`);
    });
  }

  testRequirement("002.2", "a remote reference, without sending a packet (hazard 45)", async () => {
    let connections = 0;
    const listener = createServer(() => void connections++);
    await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void listener.close());
    const { port } = listener.address() as AddressInfo;
    const app = await startReplica(await embedded());
    for (const $ref of [
      `http://127.0.0.1:${port}/schema.json`,
      "http://169.254.169.254/latest/meta-data",
      "file:///etc/passwd",
      "other.json",
    ]) {
      const { code, message: words } = await refusal(
        app.register({ ...tool, inputSchema: withA({ $ref }) }, httpTo("https://example.com/")),
      );
      expect({ $ref, code }).toEqual({ $ref, code: Code.InvalidArgument });
      expect(words).toContain("only references within the schema are supported");
    }
    expect(connections).toBe(0);
  });
});

describe("an accepted schema", () => {
  testRequirement("002.2", "with a pattern that takes other engines exponential time is checked quickly", async () => {
    const target = await startTarget(() => ({ body: 1 }));
    const app = await startReplica(await embedded());
    await app.register({ ...tool, inputSchema: withA({ type: "string", pattern: "^(a+)+$" }) }, httpTo(target.url));
    expect(await app.call({ a: `${"a".repeat(50_000)}!` })).toMatchObject({ outcome: "INVALID_ARGUMENTS" });
    expect(await app.call({ a: "aaa" })).toMatchObject({ outcome: "OK" });
  });

  test("with the same $id as another tool's, and the same names in it, does not affect the other", async () => {
    const target = await startTarget(() => ({ body: 1 }));
    const app = await startReplica(await embedded());
    const schema = (type: string): JsonObject => ({
      $id: "https://example.com/tool",
      type: "object",
      properties: { a: { $ref: "#/$defs/inner" } },
      $defs: { inner: { $id: "#inner", type } },
    });
    await app.register({ ...tool, inputSchema: schema("string") }, httpTo(target.url));
    await app.register({ ...tool, name: "other", inputSchema: schema("integer") }, httpTo(target.url));
    expect(await app.call({ a: "x" })).toMatchObject({ outcome: "OK" });
    expect(await app.call({ a: "x" }, "other")).toMatchObject({ outcome: "INVALID_ARGUMENTS" });
    expect(await app.call({ a: 1 }, "other")).toMatchObject({ outcome: "OK" });
  });

  test("may refer to itself, beside others that do", async () => {
    const target = await startTarget(() => ({ body: 1 }));
    const app = await startReplica(await embedded());
    const tree = (type: string): JsonObject => ({
      type: "object",
      properties: { leaf: { type }, next: { $ref: "#" } },
    });
    await app.register({ ...tool, inputSchema: tree("string") }, httpTo(target.url));
    await app.register({ ...tool, name: "other", inputSchema: tree("integer") }, httpTo(target.url));
    expect(await app.call({ next: { next: { leaf: "x" } } })).toMatchObject({ outcome: "OK" });
    expect(await app.call({ next: { next: { leaf: 1 } } })).toMatchObject({ outcome: "INVALID_ARGUMENTS" });
    expect(await app.call({ next: { next: { leaf: 1 } } }, "other")).toMatchObject({ outcome: "OK" });
  });
});
