import { timingSafeEqual } from "node:crypto";
import type { Secret } from "../secret.ts";

/**
 * Makes the search for what a key stands for, in constant time: all keys are compared, padded to equal length, so that the
 * time taken tells nothing of them.
 */
export function createKeyMatcher<T>(
  known: readonly { readonly key: Secret; readonly value: T }[],
): (given: string) => T | undefined {
  // One byte more than any good key: a longer one, cut to it, equals none of them.
  const room = 1 + Math.max(0, ...known.map(({ key }) => Buffer.byteLength(key.reveal())));
  const entries = known.map(({ key, value }) => ({ value, bytes: padded(key.reveal(), Buffer.alloc(room)) }));
  const scratch = Buffer.alloc(room);
  return (given) => {
    const bytes = padded(given, scratch);
    let found: T | undefined;
    for (const entry of entries) if (timingSafeEqual(entry.bytes, bytes)) found = entry.value;
    return found;
  };
}

function padded(key: string, buffer: Buffer): Buffer {
  return buffer.fill(0, buffer.write(key));
}
