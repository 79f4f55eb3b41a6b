import { hash, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import { isKeyHash, keyDigest, type Secret } from "../secret.ts";
import type { Caller } from "./caller.ts";

/** A key and its name. */
export interface NamedKey {
  readonly name: string;
  readonly key: Secret;
}

/** A header that may carry a key, either bare or after `Bearer`. The name is in lower case. */
export interface KeyHeader {
  readonly name: string;
  readonly scheme?: "Bearer";
}

/** Finds the identity (usually a caller) behind a request's key. */
export type HeaderAuthenticator<T = Caller> = (request: IncomingMessage | Http2ServerRequest) => T | undefined;

/**
 * Creates a key check in constant time. The first present header counts; a duplicated header is rejected. Without any
 * keys, every request gets the identity `open`.
 */
export function createHeaderAuthenticator<T>(
  known: readonly { readonly key: Secret; readonly value: T }[],
  headers: readonly KeyHeader[],
  open: T,
): HeaderAuthenticator<T> {
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

/**
 * Creates the lookup of a key's identity, in constant time: a given key is compared with all known keys, padded to equal
 * length, together with its length in bytes. If a key is configured by its hash, only hashes are compared: sending the
 * hash itself proves nothing.
 */
export function createKeyMatcher<T>(
  known: readonly { readonly key: Secret; readonly value: T }[],
): (given: string) => T | undefined {
  const { hashed = [], plain = [] } = Object.groupBy(known, ({ key }) =>
    isKeyHash(key.reveal()) ? "hashed" : "plain",
  );
  const digests = hashed.map(({ key, value }) => ({ value, bytes: keyDigest(key.reveal()) }));
  const room = Math.max(0, ...plain.map(({ key }) => Buffer.byteLength(key.reveal())));
  const entries = plain.map(({ key, value }) => ({ value, bytes: padded(key.reveal(), Buffer.alloc(room + 4)) }));
  const scratch = Buffer.alloc(room + 4);
  return (given) => {
    const bytes = padded(given, scratch);
    let found: T | undefined;
    for (const entry of entries) if (timingSafeEqual(entry.bytes, bytes)) found = entry.value;
    if (digests.length === 0) return found;
    const digest = hash("sha256", given, "buffer");
    for (const entry of digests) if (timingSafeEqual(entry.bytes, digest)) found = entry.value;
    return found;
  };
}

/** Returns the key's length in bytes, and as much of the key as fits. Only whole characters are written. */
function padded(key: string, buffer: Buffer): Buffer {
  buffer.writeUInt32BE(Buffer.byteLength(key));
  return buffer.fill(0, 4 + buffer.write(key, 4));
}

/** Returns a header's value: undefined if it is absent, null if it is duplicated. Node would join or drop duplicates. */
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
