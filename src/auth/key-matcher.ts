import { timingSafeEqual } from "node:crypto";
import type { Secret } from "../secret.ts";

/**
 * Creates the function that finds what a key stands for, in constant time: each given key is compared with all known ones,
 * padded to equal length, together with its length in bytes.
 */
export function createKeyMatcher<T>(
  known: readonly { readonly key: Secret; readonly value: T }[],
): (given: string) => T | undefined {
  const room = Math.max(0, ...known.map(({ key }) => Buffer.byteLength(key.reveal())));
  const entries = known.map(({ key, value }) => ({ value, bytes: padded(key.reveal(), Buffer.alloc(room + 4)) }));
  const scratch = Buffer.alloc(room + 4);
  return (given) => {
    const bytes = padded(given, scratch);
    let found: T | undefined;
    for (const entry of entries) if (timingSafeEqual(entry.bytes, bytes)) found = entry.value;
    return found;
  };
}

/** The key's length in bytes and as much of it as there is room for: only whole characters are written. */
function padded(key: string, buffer: Buffer): Buffer {
  buffer.writeUInt32BE(Buffer.byteLength(key));
  return buffer.fill(0, 4 + buffer.write(key, 4));
}
