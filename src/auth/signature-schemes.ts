import { createHmac, timingSafeEqual } from "node:crypto";
import type { SignatureSettings } from "../config/caller-settings.ts";
import { secretBytes } from "../config/signatures.ts";
import { singleHeader } from "./header-keys.ts";

/** The signature in the headers of a request whose body has not been read yet. */
export interface ReadSignature {
  /** Reports whether one of the secrets has signed this body. */
  fits(body: Buffer): boolean;
  /** Id of the message, if the signature covers one. Resending a message keeps its id. */
  readonly messageId?: string;
}

/** Reads the signature from raw headers at a time in Unix milliseconds. Returns the reason if there is none to check. */
export type ReadHeaders = (rawHeaders: readonly string[], nowMs: number) => ReadSignature | string;

/** Maximum number of signatures in one header, which bounds the comparisons. */
const maxSignatures = 16;

/** Creates the reader of one scheme with its secrets. */
export function createSignatureReader({ scheme, secrets, replayWindowS }: SignatureSettings): ReadHeaders {
  const keys = secrets.map((secret) => secretBytes(scheme, secret.reveal()));
  return scheme === "hub"
    ? (rawHeaders) => readHub(rawHeaders, keys)
    : (rawHeaders, nowMs) => readStandardWebhook(rawHeaders, keys, { nowMs, replayWindowS });
}

/** Reads `X-Hub-Signature-256: sha256=` followed by the digest of the body, in hex or base64. */
function readHub(rawHeaders: readonly string[], keys: readonly Buffer[]): ReadSignature | string {
  const header = singleHeader(rawHeaders, "x-hub-signature-256");
  if (header === undefined) return "X-Hub-Signature-256 is missing";
  if (header === null) return "X-Hub-Signature-256 was sent twice";
  const [, hex, base64] = /^sha256=(?:([0-9a-f]{64})|([A-Za-z0-9+/]{43}=))$/i.exec(header) ?? [];
  if (hex === undefined && base64 === undefined) return "X-Hub-Signature-256 is not sha256= and a digest";
  const given = hex === undefined ? Buffer.from(base64 ?? "", "base64") : Buffer.from(hex, "hex");
  return { fits: (body) => isSignedBy(keys, "", body, [given]) };
}

/**
 * Reads `webhook-id`, `webhook-timestamp` and `webhook-signature`. Source: the Standard Webhooks specification, version
 * 1.
 */
function readStandardWebhook(
  rawHeaders: readonly string[],
  keys: readonly Buffer[],
  { nowMs, replayWindowS }: { nowMs: number; replayWindowS: number },
): ReadSignature | string {
  const id = singleHeader(rawHeaders, "webhook-id");
  const timestamp = singleHeader(rawHeaders, "webhook-timestamp");
  const header = singleHeader(rawHeaders, "webhook-signature");
  if (id === undefined || timestamp === undefined || header === undefined) {
    return "webhook-id, webhook-timestamp or webhook-signature is missing";
  }
  if (id === null || timestamp === null || header === null) return "a webhook header was sent twice";
  if (!/^[\x21-\x7e]{1,256}$/.test(id)) return "webhook-id is not 1 to 256 visible ASCII characters";
  if (!/^\d{1,12}$/.test(timestamp)) return "webhook-timestamp is not a number of seconds";
  if (Math.abs(Math.floor(nowMs / 1000) - Number(timestamp)) > replayWindowS) {
    return "webhook-timestamp is outside the replay window";
  }
  const signatures = header.split(" ");
  if (signatures.length > maxSignatures) return "webhook-signature contains too many signatures";
  const given = signatures
    .filter((signature) => /^v1,[A-Za-z0-9+/]{43}=$/.test(signature))
    .map((signature) => Buffer.from(signature.slice(3), "base64"));
  if (given.length === 0) return "webhook-signature contains no signature of version v1";
  return { messageId: id, fits: (body) => isSignedBy(keys, `${id}.${timestamp}.`, body, given) };
}

/** Compares every given digest with the digest under every key, in constant time. */
function isSignedBy(keys: readonly Buffer[], prefix: string, body: Buffer, given: readonly Buffer[]): boolean {
  let fits = false;
  for (const key of keys) {
    const digest = createHmac("sha256", key).update(prefix).update(body).digest();
    for (const one of given) if (timingSafeEqual(digest, one)) fits = true;
  }
  return fits;
}
