import * as fc from "fast-check";
import { test } from "vitest";

/** A test of a general rule, which holds for all values of these arbitraries. */
export function property<Values extends [unknown, ...unknown[]]>(arbitraries: {
  [Index in keyof Values]: fc.Arbitrary<Values[Index]>;
}) {
  return (rule: string, holds: (...values: Values) => void | Promise<void>): void => {
    // The rule fails by throwing: its return value has no meaning.
    const check = async (...values: Values): Promise<void> => {
      await holds(...values);
    };
    test(rule, () => fc.assert(fc.asyncProperty(...arbitraries, check)));
  };
}
