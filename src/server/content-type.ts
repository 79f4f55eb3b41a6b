import type { IncomingHttpHeaders } from "node:http";
import { HttpError, notJson } from "./http-error.ts";

// The type, directly followed by well-formed parameters. Space before the first `;` and parameters without a value are
// refused: intermediaries disagree about what such a header means.
const json = /^application\/json(?:; ?[\w!#$%&'*+.^`|~-]+=(?:[\w!#$%&'*+.^`|~-]+|"[^"\\]*"))*$/i;
const charset = /; ?charset="?([^";]*)/i;

/** Tells whether a Content-Type says JSON in UTF-8. */
export function isJsonContentType(value: string | undefined): boolean {
  if (value === "application/json") return true;
  if (value === undefined || !json.test(value)) return false;
  const named = charset.exec(value)?.[1];
  return named === undefined || /^utf-?8$/i.test(named);
}

/** Throws an HttpError 415 unless the headers declare plain JSON. */
export function requireJson(headers: IncomingHttpHeaders): void {
  if (!isJsonContentType(headers["content-type"])) throw new HttpError(415, notJson);
  const encoding = headers["content-encoding"];
  if (encoding !== undefined && encoding.toLowerCase() !== "identity") {
    throw new HttpError(415, "Content-Encoding must be identity");
  }
}
