import { STATUS_CODES } from "node:http";
import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, inflateRaw, zstdDecompress } from "node:zlib";
import { parseJson } from "../json/exact-number.ts";
import { DownstreamError, tooLargeError } from "./downstream-error.ts";
import type { Answer } from "./http.ts";
import { excerpt } from "./redact.ts";

const inflaters = {
  gzip: promisify(gunzip),
  "x-gzip": promisify(gunzip),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
  deflate: (body: Buffer, options: { maxOutputLength: number }): Promise<Buffer> =>
    // Some servers send raw deflate; a zlib stream begins with 0x_8.
    ((body[0] ?? 0) & 0x0f) === 0x08 ? promisify(inflate)(body, options) : promisify(inflateRaw)(body, options),
} as const;

/** A received response, its body still in its content encoding. */
export interface WireAnswer {
  /** Final status, 200 or above; informational responses are skipped. */
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
  /** True if the body exceeded the limit and was truncated, which is done only for statuses other than 2xx. */
  readonly cut: boolean;
}

/** Redaction of quoted responses. */
export interface Quoting {
  readonly secrets: readonly string[];
  /** Redacts the secrets of the whole process. */
  readonly hide?: ((text: string) => string) | undefined;
}

/** Content encodings that we decode. */
export const acceptEncoding = "gzip, deflate, br";

/**
 * Decodes a response, its body to at most `limit` bytes. Throws a DownstreamError if the body of a 2xx is unreadable.
 */
export async function readAnswer(received: WireAnswer, limit: number, quoting: Quoting): Promise<Answer> {
  const { status, headers, cut } = received;
  const ok = status < 300;
  try {
    const body = cut && headers["content-encoding"] ? Buffer.alloc(0) : received.body;
    return answerFrom(status, headers, await decode(body, headers["content-encoding"], limit), quoting);
  } catch (reason) {
    if (ok) throw reason;
    // The status is more informative than the defect of its body.
    return answerFrom(status, headers, Buffer.alloc(0), quoting);
  }
}

/** Builds the error `External API returned STATUS: BODY`. Without a body, the status text replaces it. */
export function statusError(answer: Answer): DownstreamError {
  const { status, headers } = answer;
  const detail = answer.excerpt() || (STATUS_CODES[status] ?? "");
  return new DownstreamError("status", `External API returned ${status}: ${detail}`, {
    status,
    retryAfter: headers["retry-after"],
  });
}

/** Builds an answer from its decoded body. */
function answerFrom(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
  { secrets, hide }: Quoting,
): Answer {
  let text: string | undefined;
  const read = (): string => (text ??= decoderOf(headers["content-type"]).decode(body));
  return {
    status,
    headers,
    text: read,
    json<T>(): T {
      if (body.length === 0 && (status === 204 || status === 205)) return undefined as T;
      try {
        return parseJson(read()) as T;
      } catch (cause) {
        throw new DownstreamError("content", "External API answered something that is not JSON.", { status, cause });
      }
    },
    excerpt: () => excerpt(read(), secrets, hide),
  };
}

/**
 * Decodes a body by its `Content-Encoding`, to at most `limit` bytes. Throws a DownstreamError if it is larger,
 * truncated, encoded more than twice, or in an unknown encoding.
 */
async function decode(body: Buffer, contentEncoding: string | undefined, limit: number): Promise<Buffer> {
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

function decoderOf(contentType: string | undefined): TextDecoder {
  const charset = contentType === undefined ? undefined : /;\s*charset="?([\w.:-]+)/i.exec(contentType)?.[1];
  if (charset === undefined) return new TextDecoder();
  try {
    return new TextDecoder(charset);
  } catch {
    return new TextDecoder();
  }
}
