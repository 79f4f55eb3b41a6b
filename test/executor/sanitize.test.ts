import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sanitize } from "../../src/executor/sanitize.ts";
import type { JsonObject, SanitizeMode } from "../../src/plugin/tool.ts";
import { aCall, aTool, caller, outcomeOf, startExecutor, within } from "../support/executor.ts";
import { property } from "../support/property.ts";
import { verifies } from "../support/verifies.ts";

const cleaned = (text: string, mode: SanitizeMode) => sanitize({ a: text }, mode)["a"];

describe("sanitising", () => {
  test("by default keeps what real names, numbers and times are written with", () => {
    for (const text of ["Müller", "#W2378156", "10:30", "日本", "a@b.c", "😀", "O'Brien & Söhne", "x  y"]) {
      expect(cleaned(text, "text")).toBe(text);
    }
  });

  test("by default removes what nobody sees, brings letters to one form and trims", () => {
    expect(cleaned("W\u200b23\u202e78\u0000\u2028", "text")).toBe("W2378");
    expect(cleaned("Mu\u0308ller", "text")).toBe("Müller");
    expect(cleaned("\u00a0 x \n", "text")).toBe("x");
    expect(cleaned("a\ud800b", "text")).toBe("ab");
  });

  verifies(["003.5", "fault-003.cut"], "in strict mode keeps a few characters, trims, and cuts at 250", () => {
    expect(cleaned(" Müller <b>#1</b>: a_b-c@d.e ", "strict")).toBe("Mller b1b a_b-c@d.e");
    expect(cleaned("x".repeat(300), "strict")).toHaveLength(250);
    expect(cleaned(`${"x".repeat(249)} y`, "strict")).toBe("x".repeat(249));
  });

  test("switched off keeps everything", () => {
    expect(cleaned(" \u200b<x> ", "off")).toBe(" \u200b<x> ");
  });

  verifies("003.5", "reaches strings in nested objects and arrays; property names and other values stay", () => {
    const value: JsonObject = { "ü ": [" a ", { b: [[" c "]] }], n: 1, t: true, z: null };
    const before = structuredClone(value);
    expect(sanitize(value, "strict")).toEqual({ "ü ": ["a", { b: [["c"]] }], n: 1, t: true, z: null });
    expect(value).toEqual(before);
  });

  property([fc.constantFrom<SanitizeMode>("strict", "text", "off"), fc.string({ unit: "binary", maxLength: 400 })])(
    "a second time changes nothing",
    (mode, text) => {
      const once = sanitize({ a: text, b: [text] }, mode);
      expect(sanitize(once, mode)).toEqual(once);
    },
  );

  verifies("003.5", "happens before validation", async () => {
    const inputSchema = { type: "object", properties: { id: { type: "string", minLength: 1 } } } as const;
    await using app = await startExecutor([aTool({ inputSchema, execute: ({ id }: { id: string }) => id })]);
    const result = await app.executor.execute(aCall({ id: " \u200b " }), within());
    expect(result.output).toBe("Schema validation failed for work: /id: must NOT have fewer than 1 characters");
  });

  test("goes by the tool, else by the caller, else keeps text", async () => {
    const seen = aTool({ execute: ({ a }: { a: string }) => a });
    const strict = { ...caller, sanitize: "strict" as const };
    await using app = await startExecutor([
      seen,
      aTool({ name: "off", sanitize: "off", execute: ({ a }: { a: string }) => a }),
    ]);
    const run = async (name: string, who = caller) =>
      (await app.executor.execute(aCall({ a: " #ü " }, { id: "", name }), within("", { caller: who }))).output;
    expect(await run("work")).toBe("#ü");
    expect(await run("work", strict)).toBe("");
    expect(await run("off", strict)).toBe(" #ü ");
  });

  test("comes after the digest: what it makes equal is not the same call", async () => {
    await using app = await startExecutor([aTool({ execute: () => 1 })]);
    expect(outcomeOf(await app.executor.execute(aCall({ a: "x" }), within()))).toBe("OK");
    expect(outcomeOf(await app.executor.execute(aCall({ a: "x " }), within()))).toBe("CONFLICT");
  });
});
