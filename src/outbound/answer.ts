import { STATUS_CODES } from "node:http";
import { DownstreamError } from "./downstream-error.ts";
import { parseJson } from "../json/exact-number.ts";
import type { Answer } from "./http.ts";
import { excerpt } from "./redact.ts";

/** An answer from its decoded body. `secrets` are taken out of whatever is quoted of it. */
export function answerFrom(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: Buffer,
  secrets: readonly string[],
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
    excerpt: () => excerpt(read(), secrets),
  };
}

/** `External API returned STATUS: BODY`; where there is no body, the status in words stands in for it. */
export function statusError(answer: Answer): DownstreamError {
  const { status, headers } = answer;
  const said = answer.excerpt() || (STATUS_CODES[status] ?? "");
  return new DownstreamError("status", `External API returned ${status}: ${said}`, {
    status,
    retryAfter: headers["retry-after"],
  });
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
