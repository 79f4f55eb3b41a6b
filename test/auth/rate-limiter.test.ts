import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Caller } from "../../src/auth/caller.ts";
import { createRateLimiter } from "../../src/auth/rate-limiter.ts";
import { allScopes } from "../../src/config/scope.ts";

const caller = (requestsPerSecond: number, burst: number, tenant = "default"): Caller => ({
  name: "crm",
  tenant,
  scopes: new Set(allScopes),
  tools: undefined,
  rateLimit: { requestsPerSecond, burst },
});

test("never allows more than burst and rate, and a refused caller may send after the stated wait", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 50 }),
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 200 }),
      (rate, burst, pauses) => {
        let now = 0;
        const { take } = createRateLimiter(() => now);
        let admitted = 0;
        for (const pause of pauses) {
          now += pause;
          const waitMs = take(caller(rate, burst));
          if (waitMs === 0) admitted += 1;
          else {
            now += waitMs + 1e-6;
            expect(take(caller(rate, burst))).toBe(0);
            admitted += 1;
          }
          expect(admitted).toBeLessThanOrEqual(burst + (now / 1000) * rate + 1e-6);
        }
      },
    ),
  );
});

test("a pause restores the burst and no more; tenants are counted separately; without a limit everything is allowed", () => {
  let now = 0;
  const { take } = createRateLimiter(() => now);
  const burstOf = (by: Caller) => Array.from({ length: 5 }, () => take(by) === 0).filter(Boolean).length;
  expect(burstOf(caller(1, 3))).toBe(3);
  expect(burstOf(caller(1, 3, "other"))).toBe(3);
  now += 3_600_000;
  expect(burstOf(caller(1, 3))).toBe(3);
  expect(burstOf({ ...caller(1, 3), rateLimit: undefined })).toBe(5);
});
