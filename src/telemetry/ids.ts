import { getRandomValues } from "node:crypto";

/** A trace id as its four words: of most traces nobody ever reads it as text. */
export type TraceWords = readonly [number, number, number, number];

const pool = new Uint32Array(1024);
let used = pool.length;

/** 32 random bits. Taken from the system in portions: asking it for each costs more than all else that ids need. */
function word(): number {
  if (used === pool.length) {
    getRandomValues(pool);
    used = 0;
  }
  return pool[used++]!;
}

/** Makes a trace id. */
export function newTraceWords(): TraceWords {
  return [word(), word(), word(), word() || 1];
}

/** The trace id as 32 hexadecimal digits. */
export function traceIdFrom([first, second, third, fourth]: TraceWords): string {
  return hex(first) + hex(second) + hex(third) + hex(fourth);
}

/** Makes a trace id, 32 hexadecimal digits. */
export function newTraceId(): string {
  return traceIdFrom(newTraceWords());
}

/** Makes a span id, 16 hexadecimal digits. */
export function newSpanId(): string {
  return hex(word()) + hex(word() || 1);
}

function hex(word: number): string {
  return word.toString(16).padStart(8, "0");
}
