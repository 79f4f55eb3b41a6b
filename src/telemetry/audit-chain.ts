import { hash } from "node:crypto";

/** Ends every audit line: the hash over the line before and this one without it. */
const ending = /,"hash":"([0-9a-f]{64})"\}$/;

/** What comes before the first line. */
export const chainStart = "0".repeat(64);

/** Closes the JSON text of an event with its hash, and gives the hash that the next line goes on from. */
export function chainLine(previous: string, json: string): { line: string; hash: string } {
  const digest = hash("sha256", previous + json, "hex");
  return { line: `${json.slice(0, -1)},"hash":"${digest}"}`, hash: digest };
}

/** The hash that a line claims; undefined where it is no line of ours. */
export function hashOfLine(line: string): string | undefined {
  return ending.exec(line)?.[1];
}

/** What the check of an audit log found. */
export interface AuditVerdict {
  readonly ok: boolean;
  /** Lines read. */
  readonly lines: number;
  /** The first line, from 1, that was changed, or before which lines were added or taken out. */
  readonly firstBadLine?: number;
}

/** Checks that no line of an audit log was changed, added or taken out. Reads as a stream, a line at a time. */
export async function verifyAudit(stream: AsyncIterable<Uint8Array | string>): Promise<AuditVerdict> {
  let previous = chainStart;
  let lines = 0;
  let firstBadLine: number | undefined;
  for await (const line of linesOf(stream)) {
    lines += 1;
    if (firstBadLine !== undefined) continue;
    const claimed = hashOfLine(line);
    const json = `${line.replace(ending, "")}}`;
    if (claimed === undefined || chainLine(previous, json).hash !== claimed) firstBadLine = lines;
    else previous = claimed;
  }
  return firstBadLine === undefined ? { ok: true, lines } : { ok: false, lines, firstBadLine };
}

/** Lines by `\n` alone: U+2028 and its like are part of a line. A text without a line break at the end counts as one. */
async function* linesOf(stream: AsyncIterable<Uint8Array | string>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    rest += typeof chunk === "string" ? chunk : decoder.decode(chunk, { stream: true });
    const parts = rest.split("\n");
    rest = parts.pop() ?? "";
    yield* parts;
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}
