import { randomFillSync } from "node:crypto";

const pool = Buffer.alloc(4096);
let used = pool.length;

/** Random bytes as hexadecimal digits. Taken from the system in portions: asking it for each id costs ten times as much. */
function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  return pool.toString("hex", used, (used += bytes));
}

/** Makes a trace id, 32 hexadecimal digits. */
export function newTraceId(): string {
  return randomHex(16);
}

/** Makes a span id, 16 hexadecimal digits. */
export function newSpanId(): string {
  return randomHex(8);
}
