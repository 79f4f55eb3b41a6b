import { randomFillSync } from "node:crypto";

const pool = Buffer.alloc(4096);
let digits = "";
let used = 0;

/** Random hexadecimal digits. Taken from the system in portions: asking it for each id costs ten times as much. */
function randomHex(count: number): string {
  if (used + count > digits.length) {
    digits = randomFillSync(pool).toString("hex");
    used = 0;
  }
  return digits.slice(used, (used += count));
}

/** Makes a trace id, 32 hexadecimal digits. */
export function newTraceId(): string {
  return randomHex(32);
}

/** Makes a span id, 16 hexadecimal digits. */
export function newSpanId(): string {
  return randomHex(16);
}
