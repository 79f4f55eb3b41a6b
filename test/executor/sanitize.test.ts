import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sanitize } from "../../src/json/sanitize.ts";
import type { JsonObject, SanitizeMode } from "../../src/plugin/tool.ts";
import { aCall, aTool, caller, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";
import { property } from "../support/property.ts";
import { testRequirement } from "../support/test-requirement.ts";

const cleaned = (text: string, mode: SanitizeMode) => sanitize({ a: text }, mode)["a"];

describe("sanitising", () => {
  test("by default keeps the characters of real names, numbers and times", () => {
    for (const text of ["Müller", "#W2378156", "10:30", "日本", "a@b.c", "😀", "O'Brien & Söhne", "x  y"]) {
      expect(cleaned(text, "text")).toBe(text);
    }
  });

  testRequirement(
    "003.5",
    "by default removes control characters, overrides and BOM, composes letters and trims",
    () => {
      expect(cleaned("\ufeffW23\u202e78\u0000\u0007\u009b\u2066\u007f", "text")).toBe("W2378");
      expect(cleaned("Mu\u0308ller", "text")).toBe("Müller");
      expect(cleaned("\u00a0 x \n", "text")).toBe("x");
      expect(cleaned("a\ud800b", "text")).toBe("ab");
    },
  );

  testRequirement("003.5", "by default keeps line breaks, tabs, joiners and variation selectors", () => {
    expect(cleaned("a,b\nc,d\tE", "text")).toBe("a,b\nc,d\tE");
    expect(cleaned("a\r\nb\rc\r\r\nd", "text")).toBe("a\nb\nc\n\nd");
    const family = "\u{1f469}\u200d\u{1f469}\u200d\u{1f467}";
    const flag = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}";
    for (const text of [
      family,
      flag,
      "\u2764\ufe0f",
      "\u0645\u06cc\u200c\u062e",
      "\u0915\u094d\u200d\u0937",
      "x\u2028y",
    ]) {
      expect(cleaned(text, "text")).toBe(text);
    }
  });

  testRequirement("003.5", "by default trims the ends unless nothing would be left", () => {
    expect(cleaned(" \n\t x \r\n", "text")).toBe("x");
    expect(cleaned("\n", "text")).toBe("\n");
    expect(cleaned(" \u0000 ", "text")).toBe("  ");
    expect(cleaned("\u0000", "text")).toBe("");
  });

  testRequirement("003.5", "never makes a value of enum or const unreachable", async () => {
    const odd = [" padded ", "New York, NY", "e\u0301", "a\u0000b", "Ja, ich will!", "x".repeat(300)];
    const inputSchema = {
      type: "object",
      properties: { one: { enum: odd }, deep: { items: { anyOf: odd.map((value) => ({ const: value })) } } },
      additionalProperties: { type: "string" },
    };
    for (const mode of ["text", "strict"] as const) {
      await using app = await startExecutor([aTool({ inputSchema, sanitize: mode, execute: (args) => args })]);
      for (const [id, one] of odd.entries()) {
        const result = await app.executor.execute(aCall({ one, deep: [one] }, { id: `${id}` }), requestIn());
        expect([outcomeOf(result), result.output]).toEqual(["OK", JSON.stringify({ one, deep: [one] })]);
      }
      const free = await app.executor.execute(aCall({ free: " x\u0000 " }, { id: "free" }), requestIn());
      expect(free.output).toBe('{"free":"x"}');
    }
  });

  property([fc.string({ unit: "binary", maxLength: 200 })])(
    "by default leaves no control character and no override",
    (text) => {
      const result = cleaned(text, "text") as string;
      expect(result).not.toMatch(/(?![\n\t])[\p{Cc}\p{Cs}\u202a-\u202e\u2066-\u2069\ufeff]/u);
      expect(result.normalize("NFC")).toBe(result);
      if (/\S/.test(result)) expect(result.trim()).toBe(result);
    },
  );

  // Sorting combining marks is quadratic: NFC alone takes five seconds for this text.
  test("is linear in the length of a text of combining marks", () => {
    const marks = `a${"\u0315\u0300".repeat(60_000)}`;
    for (let round = 0; round < 20; round++) expect(cleaned(marks, "text")).toBe(marks);
    expect(cleaned(`e\u0301 ${marks} e\u0301`, "text")).toBe(`é ${marks} é`);
  });

  testRequirement(["003.5", "fault-003.cut"], "in strict mode keeps a few characters, trims, and cuts at 250", () => {
    expect(cleaned(" Müller <b>#1</b>: a_b-c@d.e ", "strict")).toBe("Mller b1b a_b-c@d.e");
    expect(cleaned("x".repeat(300), "strict")).toHaveLength(250);
    expect(cleaned(`${"x".repeat(249)} y`, "strict")).toBe("x".repeat(249));
  });

  test("keeps everything when switched off", () => {
    expect(cleaned(" \u200b<x> ", "off")).toBe(" \u200b<x> ");
  });

  testRequirement(
    "003.5",
    "applies to strings in nested objects and arrays; property names and other values stay",
    () => {
      const value: JsonObject = { "ü ": [" a ", { b: [[" c "]] }], n: 1, t: true, z: null };
      const before = structuredClone(value);
      expect(sanitize(value, "strict")).toEqual({ "ü ": ["a", { b: [["c"]] }], n: 1, t: true, z: null });
      expect(value).toEqual(before);
    },
  );

  property([fc.constantFrom<SanitizeMode>("strict", "text", "off"), fc.string({ unit: "binary", maxLength: 400 })])(
    "a second time changes nothing",
    (mode, text) => {
      const once = sanitize({ a: text, b: [text] }, mode);
      expect(sanitize(once, mode)).toEqual(once);
    },
  );

  testRequirement("003.5", "happens before validation", async () => {
    const inputSchema = { type: "object", properties: { id: { type: "string", minLength: 1 } } } as const;
    await using app = await startExecutor([aTool({ inputSchema, execute: ({ id }: { id: string }) => id })]);
    const result = await app.executor.execute(aCall({ id: "\u0000\ufeff" }), requestIn());
    expect(result.output).toBe("Schema validation failed for work: /id: must NOT have fewer than 1 characters");
  });

  test("depends on the tool, else on the caller, else is `text`", async () => {
    const seen = aTool({ execute: ({ a }: { a: string }) => a });
    const strict = { ...caller, sanitize: "strict" as const };
    await using app = await startExecutor([
      seen,
      aTool({ name: "off", sanitize: "off", execute: ({ a }: { a: string }) => a }),
    ]);
    const run = async (name: string, who = caller) =>
      (await app.executor.execute(aCall({ a: " #ü " }, { id: "", name }), requestIn("", { caller: who }))).output;
    expect(await run("work")).toBe("#ü");
    expect(await run("work", strict)).toBe("");
    expect(await run("off", strict)).toBe(" #ü ");
  });

  test("happens after the digest: calls that it makes equal are still different", async () => {
    await using app = await startExecutor([aTool({ execute: () => 1 })]);
    expect(outcomeOf(await app.executor.execute(aCall({ a: "x" }), requestIn()))).toBe("OK");
    expect(outcomeOf(await app.executor.execute(aCall({ a: "x " }), requestIn()))).toBe("CONFLICT");
  });
});
