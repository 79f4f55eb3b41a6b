import type { SignatureSettings } from "../config/caller-settings.ts";
import type { Secret } from "../secret.ts";
import { createHeaderAuthenticator, type HeaderAuthenticator, type KeyHeader } from "./header-keys.ts";
import { createSignatureReader, type ReadHeaders, type ReadSignature } from "./signature-schemes.ts";

/** What proves somebody: one of the keys, a signature, or both together where both are set. */
export interface Credentials<T> {
  readonly value: T;
  readonly keys: readonly Secret[];
  readonly signature?: SignatureSettings | undefined;
}

/** A request that is not proved before its body is read. */
export interface SignedRequest<T> {
  /** Whom its key stands for, where it has one: not proved by that alone. */
  readonly claimed: T | undefined;
  /** Why no body can prove it. Undefined where one can. */
  readonly problem: string | undefined;
  /** Finds whom the signature of the body proves. Undefined where it fits nobody. */
  prove(body: Buffer): SignatureProof<T> | undefined;
}

/** Whom a signature proves. */
export interface SignatureProof<T> {
  readonly value: T;
  /** Id of the message, where the signature covers one. */
  readonly messageId: string | undefined;
}

/** Finds who sent a request, from its head: undefined for nobody. */
export type CredentialCheck<T> = (request: Parameters<HeaderAuthenticator>[0]) => T | SignedRequest<T> | undefined;

interface Entry<T> {
  readonly value: T;
  readonly read: ReadHeaders | undefined;
  /** Whether a request without a body can be signed. */
  readonly signsNoBody: boolean;
}

/**
 * Creates the check of keys and signatures. A key finds its owner, whose signature is then asked for where there is one. A
 * request without a known key is tried against everybody that a signature alone proves. Without any credentials every
 * request is from `open`. `now` is the wall clock: signers put its time into their messages.
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
      // `hub` signs nothing but the body: of an empty one its signature would be the same for every request.
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

/** Reads a request's signature as each of the signers makes it. */
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

/** The same request for what its sender stands for. */
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

/** Tells a request that is still to be proved from what a check finds otherwise. */
export function isSignedRequest<T extends object>(found: T | SignedRequest<T>): found is SignedRequest<T> {
  return "prove" in found;
}
