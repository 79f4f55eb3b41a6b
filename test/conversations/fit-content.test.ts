import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { codePoints, cutJson, cutText } from "../../src/conversations/fit-content.ts";
import { pauseMs } from "../../src/conversations/gateway.ts";
import { verifies } from "../support/verifies.ts";

describe("content", () => {
  verifies(["002.6", "fault-002.cut"], "that is too long stays JSON, with a count of what was left out", () => {
    const rows = Array.from({ length: 2000 }, (_, index) => ({ sku: `AB-${index}`, note: "größer" }));
    const cut = cutJson(JSON.stringify(rows), 4096);
    const kept = JSON.parse(cut) as unknown[];
    expect(codePoints(cut)).toBeLessThanOrEqual(4096);
    expect(kept[0]).toEqual(rows[0]);
    expect(kept.length).toBeGreaterThan(20);
    expect(kept.at(-1)).toBe(`… ${2000 - (kept.length - 1)} more left out`);
  });

  verifies("002.6", "that is text is cut with three dots", () => {
    expect(cutText("a".repeat(5000), 4096)).toBe("a".repeat(4093) + "...");
    expect(cutText("a".repeat(4096), 4096)).toBe("a".repeat(4096));
  });

  test("is measured in code points: 4096 emoji fit, one more does not", () => {
    expect(cutText("😀".repeat(4096), 4096)).toBe("😀".repeat(4096));
    expect(cutText("😀".repeat(4097), 4096)).toBe("😀".repeat(4093) + "...");
  });

  test("of any kind and length is within the limit, well-formed, and JSON where it was", () => {
    fc.assert(
      fc.property(fc.jsonValue({ depthSize: "large" }), fc.integer({ min: 16, max: 300 }), (value, longest) => {
        const cut = cutJson(JSON.stringify(value), longest);
        expect(codePoints(cut)).toBeLessThanOrEqual(longest);
        JSON.parse(cut);
      }),
    );
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 400 }),
        fc.integer({ min: 16, max: 300 }),
        (text, longest) => {
          const cut = cutText(text, longest);
          expect(codePoints(cut)).toBeLessThanOrEqual(longest);
          expect(cut.isWellFormed()).toBe(true);
        },
      ),
    );
  });
});

describe("the pause after a 429", () => {
  verifies("002.9", "is what is asked for, else 2 s and then 2^n s with jitter, 30 s at most", () => {
    const half = () => 0.5;
    expect(pauseMs("3", 0, half)).toBe(3000);
    expect(pauseMs("0", 0, half)).toBe(500);
    expect(pauseMs(undefined, 0, half)).toBe(2000);
    expect(pauseMs("garbage", 0, half)).toBe(2000);
    expect(pauseMs(undefined, 2, half)).toBe(4500);
    expect(pauseMs(undefined, 9, half)).toBe(30_000);
    const inTenSeconds = pauseMs(new Date(Date.now() + 10_000).toUTCString(), 0, half);
    expect(inTenSeconds).toBeGreaterThan(8000);
    expect(inTenSeconds).toBeLessThanOrEqual(10_000);
  });
});
