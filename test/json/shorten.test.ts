import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseJson } from "../../src/json/exact-number.ts";
import { codePoints, fits, shortenJson, shortenText } from "../../src/json/shorten.ts";
import { property } from "../support/property.ts";
import { testRequirement } from "../support/test-requirement.ts";

const characters = (max: number) => ({ max, unit: "characters" }) as const;

describe("JSON that is too long", () => {
  testRequirement(["002.6", "fault-002.cut"], "stays valid JSON, with a count of the omitted parts", () => {
    const rows = Array.from({ length: 2000 }, (_, index) => ({ sku: `AB-${index}`, note: "größer" }));
    const cut = shortenJson(rows, characters(4096));
    const kept = JSON.parse(cut) as unknown[];
    expect(codePoints(cut)).toBeLessThanOrEqual(4096);
    expect(kept[0]).toEqual(rows[0]);
    expect(kept.length).toBeGreaterThan(20);
    expect(kept.at(-1)).toBe(`… ${2000 - (kept.length - 1)} more left out`);
  });

  test("states how many characters of a string and how many properties are omitted", () => {
    const cut = JSON.parse(shortenJson({ text: "😀".repeat(1000) }, characters(100))) as { text: string };
    const [, kept = "", left] = /^(\p{RGI_Emoji}+)… \((\d+) more characters\)$/v.exec(cut.text) ?? [];
    expect(codePoints(kept) + Number(left)).toBe(1000);
    const wide = Object.fromEntries(Array.from({ length: 100 }, (_, key) => [`k${key}`, key]));
    const fewer = JSON.parse(shortenJson(wide, characters(200))) as Record<string, unknown>;
    expect(fewer["…"]).toBe(`${100 - (Object.keys(fewer).length - 1)} more left out`);
  });

  test("keeps numbers as they were written", () => {
    const rows = parseJson(`[${"9007199254740993,".repeat(999)}1e400]`);
    expect(shortenJson(rows, { max: 200, unit: "bytes" })).toMatch(/^\[(?:9007199254740993,)+"… \d+ more left out"\]$/);
  });

  for (const unit of ["bytes", "characters"] as const) {
    property([fc.jsonValue({ depthSize: "large" }), fc.integer({ min: 5, max: 300 })])(
      `is JSON within any limit of ${unit}`,
      (value, max) => {
        const cut = shortenJson(parseJson(JSON.stringify(value)), { max, unit });
        expect(fits(cut, { max, unit })).toBe(true);
        expect(() => void JSON.parse(cut)).not.toThrow();
      },
    );
  }
});

describe("text that is too long", () => {
  testRequirement("002.6", "is cut with three dots", () => {
    expect(shortenText("a".repeat(5000), characters(4096))).toBe("a".repeat(4093) + "...");
    expect(shortenText("a".repeat(4096), characters(4096))).toBe("a".repeat(4096));
  });

  test("is measured in code points: 4096 emoji fit, one more does not", () => {
    expect(shortenText("😀".repeat(4096), characters(4096))).toBe("😀".repeat(4096));
    expect(shortenText("😀".repeat(4097), characters(4096))).toBe("😀".repeat(4093) + "...");
  });

  property([fc.string({ unit: "grapheme", maxLength: 400 }), fc.integer({ min: 5, max: 300 })])(
    "is within the limit, on whole characters (hazard 19 of part 1)",
    (text, max) => {
      for (const unit of ["bytes", "characters"] as const) {
        const cut = shortenText(text, { max, unit });
        expect(fits(cut, { max, unit })).toBe(true);
        expect(cut.isWellFormed()).toBe(true);
      }
    },
  );
});
