import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { JsonObject } from "@bufbuild/protobuf";
import { canonicalJson } from "../../src/json/canonical.ts";
import { readArguments } from "../../src/executor/stages/check-arguments.ts";
import { aCall, aTool, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";
import { property } from "../support/property.ts";
import { testRequirement } from "../support/test-requirement.ts";

const echo = aTool({ execute: (args) => args });
const limits = { argumentsBytes: 262_144, depth: 32 };

/** Nested objects: `{"a":{"a":…{}}}`. */
const nested = (levels: number): string => `${'{"a":'.repeat(levels - 1)}{}${"}".repeat(levels - 1)}`;

async function answer(args: object | string, name = "work") {
  await using app = await startExecutor([echo]);
  const result = await app.executor.execute(aCall(args, { name }), requestIn());
  return { outcome: outcomeOf(result), output: result.output, result };
}

describe("arguments", () => {
  testRequirement("000.6", "that are not JSON are reported as such", async () => {
    for (const text of ["{", "nope", "{'a':1}", '{"a":1}x', "\u0000"]) {
      expect(await answer(text)).toMatchObject({
        outcome: "INVALID_ARGUMENTS",
        output: "Invalid JSON in arguments for work",
      });
    }
  });

  test("that are JSON but not an object are reported (hazard 14)", async () => {
    for (const text of ["null", "[]", "1", '"x"', JSON.stringify('{"a":1}'), "9007199254740993"]) {
      expect(await answer(text)).toMatchObject({
        outcome: "INVALID_ARGUMENTS",
        output: "Schema validation failed for work: : must be object",
      });
    }
  });

  test("that are empty text count as an empty object, if the schema accepts one (hazard 14)", async () => {
    expect(await answer("")).toMatchObject({ outcome: "OK", output: "{}" });
    const strict = aTool({ inputSchema: { type: "object", properties: { a: {} }, required: ["a"] }, execute: () => 1 });
    await using app = await startExecutor([strict]);
    const result = await app.executor.execute(aCall(""), requestIn());
    expect(result.output).toBe("Schema validation failed for work: : must have required property 'a'");
  });

  test("with a key that occurs twice have the last value (hazard 10)", async () => {
    expect(await answer('{"a":1,"a":2}')).toMatchObject({ outcome: "OK", output: '{"a":2}' });
  });

  test("may be 32 levels deep, and no deeper, as text and as object (hazard 8)", async () => {
    expect(await answer(nested(32))).toMatchObject({ outcome: "OK" });
    for (const levels of [33, 100, 5000]) {
      for (const args of [nested(levels), JSON.parse(nested(levels)) as object]) {
        expect(await answer(args)).toMatchObject({
          outcome: "INVALID_ARGUMENTS",
          output: "Schema validation failed for work: : must not be nested as deeply: flatten the arguments",
        });
      }
    }
    expect(await answer(nested(100_000))).toMatchObject({ outcome: "INVALID_ARGUMENTS" });
    expect(await answer(`{"a":${nested(33)},"b":${nested(33)}}`)).toMatchObject({
      output: "Schema validation failed for work: : must not be nested as deeply: flatten the arguments",
    });
    const { output } = await answer(`{"n":1e400,"a":${nested(33)}}`);
    expect(output).toContain("/n: must be a number");
    expect(output).toContain(": must not be nested as deeply: flatten the arguments");
  });

  test("cannot reach a prototype (hazard 9)", async () => {
    for (const text of [
      '{"__proto__":{"x":1}}',
      '{"\\u005f_proto__":1}',
      '{"constructor":{"prototype":{"x":1}}}',
      '{"a":[{"__proto__":1}]}',
    ]) {
      for (const args of [text, JSON.parse(text) as object]) {
        const { outcome, output } = await answer(args);
        expect(outcome).toBe("INVALID_ARGUMENTS");
        expect(output).toContain("is not allowed as a property name");
      }
    }
    expect(({} as Record<string, unknown>)["x"]).toBeUndefined();
    expect((await answer('{"a":[{"constructor":{"prototype":1}}]}')).output).toBe(
      "Schema validation failed for work: /a/0/constructor: is not allowed as a property name",
    );
    for (const text of ['{"constructor":"Ford"}', '{"constructor":null}', '{"builder":{"prototype":{"x":1}}}']) {
      expect(await answer(text)).toMatchObject({ outcome: "OK", output: text });
    }
  });

  test("with a number that JSON cannot carry exactly are refused with a solution (hazard 19)", async () => {
    for (const number of ["9007199254740992", "-9007199254740992", "1e400", "12345678901234567890"]) {
      const { outcome, output } = await answer(`{"order":{"id":${number}}}`);
      expect(outcome).toBe("INVALID_ARGUMENTS");
      expect(output).toMatch(
        /^Schema validation failed for work: \/order\/id: must be a number .*send larger ones as a string$/,
      );
    }
    // A Struct can hold what JSON cannot.
    for (const odd of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect((await answer({ list: [1, odd] })).output).toContain("/list/1: must be a number");
    }
    expect(await answer('{"id":9007199254740991}')).toMatchObject({ outcome: "OK" });
    expect((await answer('{"rate":0.12345678901234567890}')).output).toBe(
      "Schema validation failed for work: /rate: must be a number with at most 17 digits: send more exact ones as a string",
    );
    expect((await answer('{"n":9007199254740991.1}')).output).toContain("/n: must be a number with at most 17 digits");
    expect(await answer('{"rate":0.30000000000000004,"price":1.10}')).toMatchObject({ outcome: "OK" });
  });

  test("are reported with the path of a problem, in lists and under names with slashes too", async () => {
    expect((await answer('{"a/b":[1,{"c":[9007199254740992]}]}')).output).toContain("/a~1b/1/c/0: must be a number");
  });

  test("with thousands of problems are answered in a few lines", async () => {
    const { output, result } = await answer(`{"a":[${Array(20_000).fill("1e400").join(",")}]}`);
    expect(result.error?.violations.length).toBe(20);
    expect(output.length).toBeLessThan(5000);
  });

  test("are measured in bytes of UTF-8", async () => {
    await using app = await startExecutor([echo], { argumentsBytes: 100 });
    const of = async (a: string) => outcomeOf(await app.executor.execute(aCall({ a }, { id: "" }), requestIn()));
    expect(await of("x".repeat(92))).toBe("OK");
    expect(await of("x".repeat(93))).toBe("INVALID_ARGUMENTS");
    expect(await of("é".repeat(46))).toBe("OK");
    expect(await of("é".repeat(47))).toBe("INVALID_ARGUMENTS");
  });

  property([fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })), fc.integer({ min: 0, max: 60 })])(
    "are refused for their size exactly if their canonical text is too large, as text and as object",
    (value, argumentsBytes) => {
      // JSON.parse makes `__proto__` an ordinary member, which is refused for its name.
      const text = JSON.stringify(value);
      const input = { case: "arguments", value: JSON.parse(text) as JsonObject } as const;
      for (const each of [input, { case: "argumentsJson", value: text } as const]) {
        const read = readArguments({ ...aCall({}), input: each }, { argumentsBytes, depth: 32 });
        if ("violations" in read && !read.message.includes("must not be larger")) continue;
        expect("violations" in read).toBe(Buffer.byteLength(canonicalJson(value as JsonObject)) > argumentsBytes);
      }
    },
  );

  test("that are far too large are not read to their end", () => {
    let reads = 0;
    const items = new Proxy(
      Array.from({ length: 100_000 }, () => 1),
      {
        get: (target, name) => {
          reads += 1;
          return Reflect.get(target, name) as unknown;
        },
      },
    );
    const input = { case: "arguments", value: { items } } as const;
    const read = readArguments({ ...aCall({}), input }, { argumentsBytes: 1000, depth: 32 });
    expect(read).toMatchObject({ violations: [{ path: "", message: "must not be larger than 1000 bytes" }] });
    expect(reads).toBeLessThan(2000);
  });

  testRequirement(
    ["000.5", "fault-000.prototype"],
    "of an unknown tool do not matter: names of prototypes and impossible names are unknown like any other",
    async () => {
      for (const name of [
        "nope",
        "constructor",
        "toString",
        "__proto__",
        "hasOwnProperty",
        "../x",
        "a b",
        "名",
        "",
        "x".repeat(129),
      ]) {
        expect(await answer("not json", name)).toMatchObject({
          outcome: "UNKNOWN_TOOL",
          output: `Unknown tool: ${name}`,
        });
      }
    },
  );

  property([fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }))])(
    "get the same verdict and digest as text and as object",
    (value) => {
      const text = JSON.stringify(value);
      const asText = readArguments(aCall(text), limits);
      const asObject = readArguments(aCall(JSON.parse(text) as object), limits);
      expect(asObject).toEqual(asText);
    },
  );

  property([fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 4 }))])(
    "have a digest that the order of keys does not change",
    (value) => {
      const turned = (json: unknown): unknown => {
        if (Array.isArray(json)) return json.map(turned);
        if (typeof json !== "object" || json === null) return json;
        return Object.fromEntries(
          Object.entries(json)
            .toReversed()
            .map(([key, member]) => [key, turned(member)]),
        );
      };
      const straight = readArguments(aCall(value), limits);
      const reversed = readArguments(aCall(turned(value) as object), limits);
      if ("violations" in straight) return expect("violations" in reversed).toBe(true);
      expect("digest" in reversed && reversed.digest).toBe(straight.digest);
    },
  );

  property([fc.dictionary(fc.string(), fc.integer(), { minKeys: 1 })])(
    "have another digest when a value differs",
    (value) => {
      const [key] = Object.keys(value) as [string];
      const other = { ...value, [key]: (value[key] as number) + 1 };
      const digest = (args: object) => {
        const parsed = readArguments(aCall(args), limits);
        return "digest" in parsed ? parsed.digest : fc.pre(false);
      };
      expect(digest(other)).not.toBe(digest(value));
    },
  );
});
