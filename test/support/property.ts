import * as fc from "fast-check";
import { test } from "vitest";

/** A test of a general rule: it holds for whatever these arbitraries make. */
export function property<Values extends [unknown, ...unknown[]]>(arbitraries: {
  [Index in keyof Values]: fc.Arbitrary<Values[Index]>;
}) {
  return (rule: string, holds: (...values: Values) => void | Promise<void>): void => {
    // The rule speaks by throwing: whatever it returns says nothing.
    const check = async (...values: Values): Promise<void> => {
      await holds(...values);
    };
    test(rule, () => fc.assert(fc.asyncProperty(...arbitraries, check)));
  };
}
