import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { createKeyMatcher } from "../auth/key-matcher.ts";
import type { Secret } from "../config/secret.ts";

/** Tells who sent a request: the key's name, "" for an unnamed key or where no key is asked for, undefined for nobody. */
export type KeyCheck = (request: IncomingMessage | Http2ServerRequest) => string | undefined;

/** A key and its name, "" for the only one. */
export interface NamedKey {
  readonly name: string;
  readonly key: Secret;
}

/** A header that may carry the key, and how: as it is, or after `Bearer`. The names are in lower case. */
export interface KeyHeader {
  readonly name: string;
  readonly scheme?: "Bearer";
}

/**
 * Checks keys in constant time. The first of the headers that is present counts; a header sent twice is refused. Without
 * keys everybody is let in.
 */
export function createKeyCheck(keys: readonly NamedKey[], headers: readonly KeyHeader[]): KeyCheck {
  if (keys.length === 0) return () => "";
  const find = createKeyMatcher(keys.map(({ name, key }) => ({ key, value: name })));
  return (request) => {
    for (const header of headers) {
      const value = single(request.rawHeaders, header.name);
      if (value === undefined) continue;
      const key = value === null ? undefined : presented(value, header);
      return key === undefined ? undefined : find(key);
    }
    return undefined;
  };
}

/** The header's value; undefined where it is absent, null where it is there twice. Node itself would join or drop. */
function single(raw: readonly string[], name: string): string | undefined | null {
  let value: string | undefined;
  for (let index = 0; index < raw.length; index += 2) {
    const candidate = raw[index] ?? "";
    if (candidate.length !== name.length || candidate.toLowerCase() !== name) continue;
    if (value !== undefined) return null;
    value = raw[index + 1] ?? "";
  }
  return value;
}

function presented(value: string, header: KeyHeader): string | undefined {
  if (header.scheme === undefined) return value === "" ? undefined : value;
  const prefix = value.slice(0, header.scheme.length + 1);
  if (prefix.toLowerCase() !== `${header.scheme.toLowerCase()} `) return undefined;
  return value.slice(prefix.length) || undefined;
}
