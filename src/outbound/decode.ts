import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from "node:zlib";
import { DownstreamError, tooLargeError } from "./downstream-error.ts";

const inflaters = {
  gzip: promisify(gunzip),
  "x-gzip": promisify(gunzip),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
  deflate: (body: Buffer, options: { maxOutputLength: number }): Promise<Buffer> =>
    // Some servers send raw deflate; a zlib stream begins with 0x_8.
    ((body[0] ?? 0) & 0x0f) === 0x08 ? promisify(inflate)(body, options) : promisify(inflateRaw)(body, options),
} as const;

/** What we say we can read. */
export const acceptEncoding = "gzip, deflate, br";

/**
 * Decodes a body by its `Content-Encoding`, never to more than `limit` bytes. Throws a DownstreamError where it is larger,
 * cut off, wrapped more than twice or in an encoding that is not known.
 */
export async function decode(body: Buffer, contentEncoding: string | undefined, limit: number): Promise<Buffer> {
  if (contentEncoding === undefined || body.length === 0) return body;
  const codings = contentEncoding
    .toLowerCase()
    .split(",")
    .map((coding) => coding.trim());
  const applied = codings.filter((coding) => coding !== "" && coding !== "identity");
  if (applied.length > 2) throw unreadable();
  let decoded = body;
  for (const coding of applied.toReversed()) {
    if (!Object.hasOwn(inflaters, coding)) throw unreadable();
    try {
      decoded = await inflaters[coding as keyof typeof inflaters](decoded, { maxOutputLength: limit });
    } catch (reason) {
      throw (reason as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE"
        ? tooLargeError(limit)
        : unreadable(reason);
    }
  }
  return decoded;
}

function unreadable(cause?: unknown): DownstreamError {
  return new DownstreamError("content", "External API answered in an encoding that cannot be read.", { cause });
}
