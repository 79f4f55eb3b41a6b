/** Longest wait that a client may prefer, in seconds. */
const maxWaitSeconds = 120;

/**
 * Reads `wait=SECONDS` of a `Prefer` header, at most 120. Undefined where there is none that can be honoured, which a
 * preference allows. Source: RFC 7240 sections 2 and 4.3.
 */
export function waitFrom(prefer: string | string[] | undefined): number | undefined {
  if (prefer === undefined) return undefined;
  const text = Array.isArray(prefer) ? prefer.join(",") : prefer;
  for (const part of text.split(",")) {
    const seconds = /^\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?$/i.exec(part)?.[1];
    // Of a preference that is sent twice the first one counts.
    if (seconds !== undefined) return Number(seconds) < 1 ? undefined : Math.min(Number(seconds), maxWaitSeconds);
  }
  return undefined;
}
