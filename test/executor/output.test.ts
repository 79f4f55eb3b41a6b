import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { valueText } from "../../src/adapters/value-text.ts";
import { fitOutput, jsonFromReturned } from "../../src/executor/stages/shape-output.ts";
import { parseJson } from "../../src/json/exact-number.ts";
import { jsonFromValue } from "../../src/executor/json-value.ts";
import { ToolError } from "../../src/plugin/tool-error.ts";
import type { JsonSchema } from "../../src/plugin/tool.ts";
import { startTool } from "../../src/testing/start-tool.ts";
import { aCall, aTool, caller, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";
import { property } from "../support/property.ts";
import { testRequirement } from "../support/test-requirement.ts";

async function returning(returned: unknown) {
  await using tool = await startTool(aTool({ execute: () => returned }));
  return tool.call({});
}

function fit(returned: unknown, maxBytes: number) {
  return fitOutput(jsonFromReturned(returned) ?? { text: "", json: "" }, maxBytes);
}

describe("an answer", () => {
  testRequirement(["002.6", "fault-002.text"], "is JSON text with letters unescaped, or the text itself", async () => {
    expect(await returning({ name: "Müller 日本" })).toMatchObject({
      outcome: "OK",
      output: '{"name":"Müller 日本"}',
      value: { name: "Müller 日本" },
    });
    expect(await returning("Müller")).toMatchObject({ output: "Müller", value: "Müller" });
    expect(await returning([1, null, true])).toMatchObject({ output: "[1,null,true]", value: [1, null, true] });
  });

  test.each([
    ["undefined", undefined, "null"],
    ["null", null, "null"],
    ["a member that is called then", JSON.parse('{"then":5}'), '{"then":5}'],
    ["NaN", Number.NaN, "null"],
    ["a BigInt", 2n ** 70n, `"${2n ** 70n}"`],
    ["a symbol", Symbol("x"), "null"],
    ["a function", () => 1, "null"],
    ["a date", new Date(0), '"1970-01-01T00:00:00.000Z"'],
    ["a bad date", new Date(Number.NaN), "null"],
    ["a map", new Map([["a", new Set([1])]]), '{"a":[1]}'],
    ["holes", Object.assign([1], { 2: 3 }), "[1,null,3]"],
    ["undefined members", { a: undefined, b: [undefined] }, '{"b":[null]}'],
    [
      "a class",
      new (class {
        a = 1;
      })(),
      '{"a":1}',
    ],
    ["half a character", { a: "x\ud83d" }, '{"a":"x\ufffd"}'],
    ["half a character in a property name (hazard 41)", { "x\udc00": { "\ud800": 1 } }, '{"x\ufffd":{"\ufffd":1}}'],
  ])("that is or contains %s becomes JSON", async (_what, returned, output) => {
    const result = await returning(returned);
    expect(result).toMatchObject({ outcome: "OK", output, truncated: false });
    expect(result.value).toEqual(JSON.parse(output));
  });

  testRequirement("002.6", "that cannot be serialised is reported as such", async () => {
    const circle: Record<string, unknown> = {};
    circle["circle"] = circle;
    const hostile = {
      get x(): never {
        throw new Error("secret words");
      },
    };
    for (const returned of [circle, hostile]) {
      expect(await returning(returned)).toMatchObject({
        outcome: "INVALID_OUTPUT",
        output: "Result could not be serialized to JSON or string.",
      });
    }
    const trap = new Proxy(
      {},
      {
        has: () => true,
        get: () => {
          throw new Error("secret words");
        },
      },
    );
    expect(await returning(trap)).toMatchObject({ outcome: "FAILED", output: "Tool execution failed or timed out." });
  });

  test("keeps a downstream's numbers as they were written; a value contains their text", async () => {
    const text = '{"rows":[{"id":9007199254740993,"size":1e400,"n":1.5}]}';
    const row = { type: "object", properties: { id: { type: "integer" }, size: { type: "number", minimum: 1 } } };
    const outputSchema = { type: "object", properties: { rows: { type: "array", items: row } } };
    await using app = await startExecutor([aTool({ outputSchema, execute: () => parseJson(text) })]);
    const result = await app.executor.execute(aCall(), requestIn());
    expect([outcomeOf(result), result.output]).toEqual(["OK", text]);
    expect(result.value && jsonFromValue(result.value)).toEqual({
      rows: [{ id: "9007199254740993", size: "1e400", n: 1.5 }],
    });
    expect(fit({ list: parseJson(`[${"9007199254740993,".repeat(999)}1]`) }, 100).text).toMatch(
      /^\{"list":\[(?:9007199254740993,)+"… \d+ more left out"\]\}$/,
    );
  });

  test.each([
    ["an object", { a: [1, "x", null, { b: -0.5 }] }],
    ["a text", 'says "1"'],
    ["a list of numbers that doubles hold", [2 ** 53 - 1, -(2 ** 53 - 1), 0.1, 1e-300]],
    ["numbers that no double is sure to hold", [2 ** 53, -(2 ** 60), 1e300, 1.7976931348623157e308]],
    ["a number of a downstream", parseJson('{"id":9007199254740993,"n":1}')],
    ["forty levels", JSON.parse('{"a":'.repeat(40) + "1" + "}".repeat(40))],
  ])("that is %s provides the text of its value", async (_what, returned) => {
    await using app = await startExecutor([aTool({ execute: () => returned as object })]);
    const result = await app.executor.execute(aCall(), requestIn());
    expect(outcomeOf(result)).toBe("OK");
    expect(valueText(result)).toBe(JSON.stringify(jsonFromValue(result.value!)));
  });

  test.each([
    ["objects", '{"a":'.repeat(41) + "1" + "}".repeat(41)],
    ["lists", "[".repeat(41) + "]".repeat(41)],
    ["lists of objects", '[{"a":'.repeat(21) + "1" + "}]".repeat(21)],
    ["numbers of a downstream", "[".repeat(41) + "9007199254740993" + "]".repeat(41)],
  ])("with more levels of %s than a message holds has a text and no value", async (_what, text) => {
    await using app = await startExecutor([aTool({ execute: () => parseJson(text) })]);
    const result = await app.executor.execute(aCall(), requestIn());
    expect([outcomeOf(result), result.output]).toEqual(["OK", text]);
    expect([result.value, valueText(result)]).toEqual([undefined, undefined]);
  });

  test("of 10 MB is cut to the limit and stays valid", async () => {
    const text = await returning("é".repeat(5_000_000));
    expect(text.truncated).toBe(true);
    expect(Buffer.byteLength(text.output)).toBeLessThanOrEqual(65_536);
    expect(text.output).toMatch(/^é+\.\.\.$/);
    const rows = await returning(Array.from({ length: 200_000 }, (_, id) => ({ id, name: "x".repeat(20) })));
    expect(rows.truncated).toBe(true);
    expect(Buffer.byteLength(rows.output)).toBeLessThanOrEqual(65_536);
    expect(JSON.parse(rows.output)).toEqual(rows.value);
    expect((JSON.parse(rows.output) as unknown[]).at(-1)).toMatch(/^… \d+ more left out$/);
  });

  test("with deep nesting keeps its text; only the value is omitted", async () => {
    const deep = JSON.parse('{"a":'.repeat(60) + "1" + "}".repeat(60)) as object;
    const result = await returning(deep);
    expect(result).toMatchObject({ outcome: "OK", output: JSON.stringify(deep), truncated: false, value: undefined });
  });

  test("with a broad tree is shortened, not lost, at a small limit", () => {
    const tree = (levels: number): unknown =>
      levels === 0
        ? "a leaf of the tree"
        : Object.fromEntries(Array.from({ length: 8 }, (_, key) => [`k${key}`, tree(levels - 1)]));
    const { text, truncated } = fit(tree(4), 2000);
    expect(truncated).toBe(true);
    expect(Object.keys(JSON.parse(text) as object)).toEqual(["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7"]);
  });

  property([fc.jsonValue({ maxDepth: 5 }), fc.integer({ min: 5, max: 400 })])(
    "is valid JSON within any limit",
    (value, maxBytes) => {
      if (typeof value === "string") return;
      const { text, truncated } = fit(value, maxBytes);
      expect(Buffer.byteLength(text)).toBeLessThanOrEqual(maxBytes);
      const parsed = JSON.parse(text) as unknown;
      if (!truncated) expect(parsed).toEqual(JSON.parse(JSON.stringify(value)));
    },
  );

  property([fc.string({ unit: "binary", maxLength: 300 }), fc.integer({ min: 5, max: 400 })])(
    "of text is cut on whole characters",
    (text, maxBytes) => {
      const fitted = fit(text, maxBytes);
      expect(Buffer.byteLength(fitted.text)).toBeLessThanOrEqual(maxBytes);
      expect(fitted.text.isWellFormed()).toBe(true);
      const start = fitted.truncated ? fitted.text.slice(0, -3) : fitted.text;
      expect(text.toWellFormed().startsWith(start)).toBe(true);
    },
  );

  test("is shortened for a caller with a smaller limit, whatever it is", async () => {
    const small = { ...caller, maxOutputBytes: 100 };
    const deep = JSON.parse('{"a":'.repeat(60) + "1" + "}".repeat(60)) as object;
    const tool = aTool({
      execute({ what }: { what: string }) {
        if (what === "fault") throw new ToolError("é".repeat(200));
        const json = JSON.stringify(Array(100).fill("row"));
        return { text: "é".repeat(200), json, rows: Array(100).fill("row"), deep, big: 10n ** 200n }[what];
      },
    });
    await using app = await startExecutor([tool]);
    for (const what of ["text", "json", "rows", "deep", "big", "fault"]) {
      const result = await app.executor.execute(aCall({ what }, { id: what }), requestIn("c", { caller: small }));
      expect(result.truncated).toBe(true);
      expect(Buffer.byteLength(result.output)).toBeLessThanOrEqual(100);
      if (what === "fault") expect(result.error?.message).toBe(result.output);
      else if (what === "text") expect(result.output).toMatch(/^é+\.\.\.$/);
      else if (what === "json") expect(result.output).toMatch(/^\["row",.*\.\.\.$/);
      else expect(result.value && jsonFromValue(result.value)).toEqual(JSON.parse(result.output));
    }
  });

  test("is checked against the output schema in its JSON form", async () => {
    const check = async (outputSchema: JsonSchema, returned: unknown) => {
      await using tool = await startTool(aTool({ outputSchema, execute: () => returned }));
      return (await tool.call({})).outcome;
    };
    expect(await check({ type: "string" }, new Date(0))).toBe("OK");
    expect(await check({ type: "null" }, undefined)).toBe("OK");
    await using tool = await startTool(aTool({ outputSchema: { type: "array", maxItems: 1 }, execute: () => [1, 2] }));
    expect((await tool.call({})).violations).toMatchObject([
      { path: "", message: expect.stringContaining("1 items") as string },
    ]);
    expect(await check({ type: "object", required: ["a"], properties: { a: { type: "integer" } } }, { a: 1.5 })).toBe(
      "INVALID_OUTPUT",
    );
  });
});

describe("a secret of the configuration", () => {
  const configSchema = { type: "object", properties: { key: { type: "string", secret: true } } } as const;
  const shown = async (key: string, execute: () => unknown, outputBytes?: number) => {
    const settings = { config: { key } };
    await using app = await startExecutor([aTool({ configSchema, execute })], {
      settings,
      ...(outputBytes !== undefined && { outputBytes }),
    });
    const heard: string[] = [];
    const result = await app.executor.execute(
      aCall(),
      requestIn("c", { onProgress: ({ message }) => heard.push(message) }),
    );
    return { result, heard, value: result.value && jsonFromValue(result.value) };
  };

  test("appears in no answer, no error and no progress", async () => {
    expect((await shown("hunter22", () => "it is hunter22!")).result.output).toBe("it is [secret]!");
    expect(
      (
        await shown("hunter22", () => {
          throw new ToolError("no hunter22");
        })
      ).result.output,
    ).toBe("no [secret]");
    const told = aTool({ configSchema, execute: (_args, { progress }) => progress({ message: "with hunter22" }) });
    await using app = await startExecutor([told], { settings: { config: { key: "hunter22" } } });
    const heard: string[] = [];
    await app.executor.execute(aCall(), requestIn("c", { onProgress: ({ message }) => heard.push(message) }));
    expect(heard).toEqual(["with [secret]"]);
  });

  test("is removed without making the surrounding JSON invalid", async () => {
    for (const key of ['a"b\\c', "1234", "true", "null", '","x":"']) {
      const { result, value } = await shown(key, () => ({ ok: true, no: null, n: 12_345, text: `<${key}>`, [key]: 1 }));
      expect(outcomeOf(result)).toBe("OK");
      expect(JSON.parse(result.output)).toEqual(value);
      expect(value).toMatchObject({ text: "<[secret]>", "[secret]": 1 });
    }
  });

  test("is removed without changing other parts of lists and numbers", async () => {
    const exact = parseJson("1234567890123456789012");
    const { result } = await shown("1234", () => ({ list: ["<1234>", 12, 12_345, null, [true]], exact, more: "1234" }));
    expect(result.output).toBe(
      '{"list":["<[secret]>",12,"[secret]5",null,[true]],"exact":"[secret]567890[secret]56789012","more":"[secret]"}',
    );
  });

  test("is not partly visible at the end of a cut answer", async () => {
    const { result } = await shown("hunter22hunter22", () => `${"x".repeat(90)}hunter22hunter22${"y".repeat(90)}`, 101);
    expect(result.output).not.toContain("hunter");
  });
});
