import type { SignatureSettings } from "../config/caller-settings.ts";
import type { Secret } from "../secret.ts";
import { createHeaderAuthenticator, type HeaderAuthenticator, type KeyHeader } from "./header-keys.ts";
import { createSignatureReader, type ReadHeaders, type ReadSignature } from "./signature-schemes.ts";

/** Accepted credentials of one identity: one of the keys, a signature, or both if both are set. */
export interface Credentials<T> {
  readonly value: T;
  readonly keys: readonly Secret[];
  readonly signature?: SignatureSettings | undefined;
}

/** A request that can only be authenticated after its body has been read. */
export interface SignedRequest<T> {
  /** The identity behind the request's key, if it has one. The key alone does not prove it. */
  readonly claimed: T | undefined;
  /** The reason why no body can authenticate this request. Undefined if one can. */
  readonly problem: string | undefined;
  /** Verifies the signature over the body and returns the identity that it proves. Undefined if it matches none. */
  prove(body: Buffer): SignatureProof<T> | undefined;
}

/** An identity proved by a signature. */
export interface SignatureProof<T> {
  readonly value: T;
  /** Id of the message, if the signature covers one. */
  readonly messageId: string | undefined;
}

/** Authenticates a request by its head. Undefined if the sender is unknown. */
export type CredentialCheck<T> = (request: Parameters<HeaderAuthenticator>[0]) => T | SignedRequest<T> | undefined;

interface Entry<T> {
  readonly value: T;
  readonly read: ReadHeaders | undefined;
  /** Whether a request without a body can be signed. */
  readonly signsNoBody: boolean;
}

/**
 * Creates the check of keys and signatures. If the request has a known key, the signature of its owner is required,
 * provided the owner signs. A request without a known key is checked against every identity that a signature alone
 * proves. Without any credentials, every request gets the identity `open`. `now` is the wall clock, because signers put
 * its time into their messages.
 */
export function createCredentialCheck<T extends object>(
  credentials: readonly Credentials<T>[],
  headers: readonly KeyHeader[],
  open: T,
  now: () => number = () => Date.now(),
): CredentialCheck<T> {
  if (credentials.length === 0) return () => open;
  const entries = credentials.map(({ value, keys, signature }) => ({
    keys,
    entry: {
      value,
      read: signature && createSignatureReader(signature),
      // `hub` signs nothing but the body, so its signature of an empty body would be the same for every request.
      signsNoBody: signature?.scheme === "standard-webhooks",
    } satisfies Entry<T>,
  }));
  const known = entries.flatMap(({ entry, keys }) => keys.map((key) => ({ key, value: entry })));
  const byKey = createHeaderAuthenticator<Entry<T> | undefined>(known, headers, undefined);
  const keyless = entries.flatMap(({ entry, keys }) => (keys.length === 0 ? [entry] : []));
  return (request) => {
    const found = byKey(request);
    const hasBody = request.method !== "GET" && request.method !== "HEAD";
    if (found !== undefined) {
      if (found.read === undefined || (!hasBody && !found.signsNoBody)) return found.value;
      return readSignatures([found], request.rawHeaders, now(), found.value);
    }
    const signers = hasBody ? keyless : keyless.filter(({ signsNoBody }) => signsNoBody);
    return signers.length === 0 ? undefined : readSignatures(signers, request.rawHeaders, now(), undefined);
  };
}

/** Reads a request's signature under the scheme of each signer. */
function readSignatures<T>(
  signers: readonly Entry<T>[],
  rawHeaders: readonly string[],
  nowMs: number,
  claimed: T | undefined,
): SignedRequest<T> {
  const readings: { readonly value: T; readonly signature: ReadSignature }[] = [];
  let problem: string | undefined;
  for (const { value, read } of signers) {
    const signature = read?.(rawHeaders, nowMs) ?? "no signature is configured";
    if (typeof signature === "string") problem ??= signature;
    else readings.push({ value, signature });
  }
  return {
    claimed,
    problem: readings.length > 0 ? undefined : problem,
    prove(body) {
      const fitting = readings.find(({ signature }) => signature.fits(body));
      return fitting && { value: fitting.value, messageId: fitting.signature.messageId };
    },
  };
}

/** Returns the same request with its identity mapped by `change`. */
export function mapSignedRequest<T, U>(signed: SignedRequest<T>, change: (value: T) => U): SignedRequest<U> {
  return {
    claimed: signed.claimed === undefined ? undefined : change(signed.claimed),
    problem: signed.problem,
    prove(body) {
      const proof = signed.prove(body);
      return proof && { ...proof, value: change(proof.value) };
    },
  };
}

/** Distinguishes a request that must still be authenticated from the other results of a check. */
export function isSignedRequest<T extends object>(found: T | SignedRequest<T>): found is SignedRequest<T> {
  return "prove" in found;
}
