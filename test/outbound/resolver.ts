import type { lookup as resolveName, LookupAddress } from "node:dns";

/** A resolver that returns the answers in turn, and then the last one again. */
export function resolver(...answers: string[][]): typeof resolveName {
  let asked = 0;
  const resolve = (_host: string, _options: unknown, callback: (error: null, found: LookupAddress[]) => void): void => {
    const found = answers[Math.min(asked++, answers.length - 1)]!;
    callback(
      null,
      found.map((address) => ({ address, family: address.includes(":") ? 6 : 4 })),
    );
  };
  return resolve as unknown as typeof resolveName;
}
