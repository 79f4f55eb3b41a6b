import { createHash } from "node:crypto";

/** The end of a batch's last line: the hash over the previous hash and this batch without its own hash. */
const seal = /,"hash":"([0-9a-f]{64})"\}$/;

/** The hash before the first batch. */
export const chainStart = "0".repeat(64);

/**
 * Seals a batch of at least one line: its last line gets the hash over everything before it. `open` holds complete
 * lines that an earlier process wrote but did not seal.
 */
export function sealBatch(
  previous: string,
  batch: string,
  open = "",
): { readonly bytes: Buffer; readonly hash: string } {
  // Encoded once, for the hash and for the file: encoding a batch takes longer than hashing it.
  const bytes = Buffer.from(batch);
  const digest = createHash("sha256")
    .update(previous + open)
    .update(bytes)
    .digest("hex");
  return { bytes: Buffer.concat([bytes.subarray(0, -1), Buffer.from(`,"hash":"${digest}"}\n`)]), hash: digest };
}

/** Returns the hash with which a line seals its batch; undefined if it does not seal one. */
export function sealOf(line: string): string | undefined {
  return seal.exec(line)?.[1];
}

/** The result of checking an audit log. */
export interface AuditVerdict {
  readonly ok: boolean;
  /** Number of lines read. */
  readonly lines: number;
  /** The first invalid batch, by its line numbers (from 1): lines in or before it were changed, added or removed. */
  readonly firstBad?: { readonly from: number; readonly to: number };
  /**
   * Number of lines after the last seal: a process died while writing them, or somebody added them or removed the seal.
   */
  readonly unsealed?: number;
}

/** Checks that no line of an audit log was changed, added or removed. Reads a stream, line by line. */
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

/**
 * Splits into lines at `\n` only, because U+2028 and similar characters may be part of a line. A last line without a
 * line break counts too.
 */
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
