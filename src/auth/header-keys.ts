import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Secret } from "../secret.ts";
import type { Caller } from "./caller.ts";
import { createKeyMatcher } from "./key-matcher.ts";

/** A key and its name. */
export interface NamedKey {
  readonly name: string;
  readonly key: Secret;
}

/** A header that may carry a key: as it is, or after `Bearer`. The name is in lower case. */
export interface KeyHeader {
  readonly name: string;
  readonly scheme?: "Bearer";
}

/** Finds the caller that a request's key belongs to. */
export type HeaderAuthenticator = (request: IncomingMessage | Http2ServerRequest) => Caller | undefined;

/**
 * Checks keys in constant time. The first of the headers that is present counts; a header that is sent twice is refused.
 * Without any key every request is from `open`.
 */
export function createHeaderAuthenticator(
  known: readonly { readonly key: Secret; readonly value: Caller }[],
  headers: readonly KeyHeader[],
  open: Caller,
): HeaderAuthenticator {
  if (known.length === 0) return () => open;
  const find = createKeyMatcher(known);
  return (request) => {
    for (const header of headers) {
      const value = singleHeader(request.rawHeaders, header.name);
      if (value === undefined) continue;
      const key = value === null ? undefined : keyIn(value, header);
      return key === undefined ? undefined : find(key);
    }
    return undefined;
  };
}

/** Returns a header's value: undefined where it is absent, null where it is sent twice. Node would join or drop it. */
export function singleHeader(raw: readonly string[], name: string): string | undefined | null {
  let value: string | undefined;
  for (let index = 0; index < raw.length; index += 2) {
    const candidate = raw[index] ?? "";
    if (candidate.length !== name.length || candidate.toLowerCase() !== name) continue;
    if (value !== undefined) return null;
    value = raw[index + 1] ?? "";
  }
  return value;
}

function keyIn(value: string, header: KeyHeader): string | undefined {
  if (header.scheme === undefined) return value === "" ? undefined : value;
  const prefix = value.slice(0, header.scheme.length + 1);
  if (prefix.toLowerCase() !== `${header.scheme.toLowerCase()} `) return undefined;
  return value.slice(prefix.length) || undefined;
}
