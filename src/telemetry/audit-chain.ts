import { createHash, hash } from "node:crypto";

/** Ends the last line of every batch: the hash over the hash before it and the batch without this one. */
const seal = /,"hash":"([0-9a-f]{64})"\}$/;

/** What comes before the first batch. */
export const chainStart = "0".repeat(64);

/**
 * Seals a batch, at least one line: its last line gets the hash over what went before and the batch. `open` is whole lines
 * that an earlier process wrote without coming to seal them.
 */
export function sealBatch(
  previous: string,
  batch: string,
  open = "",
): { readonly text: string; readonly hash: string } {
  const digest = hash("sha256", previous + open + batch, "hex");
  return { text: `${batch.slice(0, -1)},"hash":"${digest}"}\n`, hash: digest };
}

/** The hash that a line seals its batch with; undefined where it seals none. */
export function sealOf(line: string): string | undefined {
  return seal.exec(line)?.[1];
}

/** What the check of an audit log found. */
export interface AuditVerdict {
  readonly ok: boolean;
  /** Lines read. */
  readonly lines: number;
  /** The first batch, by its lines from 1, in or before which lines were changed, added or taken out. */
  readonly firstBad?: { readonly from: number; readonly to: number };
  /** Lines behind the last seal: a process died while it wrote them, or somebody added them or cut the seal off. */
  readonly unsealed?: number;
}

/** Checks that no line of an audit log was changed, added or taken out. Reads as a stream, a line at a time. */
export async function verifyAudit(stream: AsyncIterable<Uint8Array | string>): Promise<AuditVerdict> {
  let lines = 0;
  let sealed = 0;
  let firstBad: AuditVerdict["firstBad"];
  let batch = createHash("sha256").update(chainStart);
  for await (const line of linesOf(stream)) {
    lines += 1;
    const claimed = sealOf(line);
    if (claimed === undefined) {
      batch.update(`${line}\n`);
      continue;
    }
    if (batch.update(line.replace(seal, "}")).digest("hex") !== claimed) {
      firstBad ??= { from: sealed + 1, to: lines };
    }
    batch = createHash("sha256").update(claimed);
    sealed = lines;
  }
  const unsealed = lines - sealed;
  return {
    ok: firstBad === undefined && unsealed === 0,
    lines,
    ...(firstBad !== undefined && { firstBad }),
    ...(unsealed > 0 && { unsealed }),
  };
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
