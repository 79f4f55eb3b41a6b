import { describe, expect } from "vitest";
import { pauseMs } from "../../src/conversations/gateway.ts";
import { testRequirement } from "../support/test-requirement.ts";

describe("the pause after a 429", () => {
  testRequirement("002.9", "is the requested one, else 2 s and then 2^n s with jitter, at most 30 s", () => {
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
