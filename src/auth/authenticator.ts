import type { KeyedCaller } from "../config/caller-settings.ts";
import type { Caller } from "./caller.ts";
import { createKeyMatcher, type HeaderAuthenticator, singleHeader } from "./header-keys.ts";
import type { TokenVerifier } from "./oauth-tokens.ts";
import { createCredentialCheck, isSignedRequest, type SignedRequest } from "./signed-request.ts";
import { allScopes } from "../config/scope.ts";

/** The caller of every request when no keys are configured: all scopes, all tools. */
export const localCaller: Caller = {
  name: "local",
  tenant: "default",
  scopes: new Set(allScopes),
  tools: undefined,
};

/**
 * Finds the caller of an `Authorization` header; undefined without a valid credential. Returns a promise if the
 * credential is a token.
 */
export type Authenticator = (authorization: string | undefined) => Authenticated;

/**
 * Finds the caller of a request; undefined without a valid credential. Returns a promise if the credential is a token,
 * and a SignedRequest if the body must prove it.
 */
export type RequestAuthenticator = (request: RequestHead) => Authenticated | SignedRequest<Caller>;

type Authenticated = Caller | undefined | Promise<Caller | undefined>;

type RequestHead = Parameters<HeaderAuthenticator>[0];

const keyHeaders = [{ name: "authorization", scheme: "Bearer" }, { name: "x-api-key" }] as const;

/**
 * Creates the check of `Authorization: Bearer KEY`. With `verifyToken`, the credential may also be a token. When neither
 * keys nor tokens are configured, every caller is `local`.
 */
export function createAuthenticator(callers: readonly KeyedCaller[], verifyToken?: TokenVerifier): Authenticator {
  if (callers.length === 0 && verifyToken === undefined) return () => localCaller;
  // A bare header carries no signature, so callers that must sign are excluded: their key alone is worth nothing.
  const known = callers
    .filter(({ signature }) => signature === undefined)
    .flatMap(({ caller, keys }) => keys.map((key) => ({ key, value: caller })));
  const find = createKeyMatcher(known);
  return (authorization) => {
    const key = bearerKey(authorization);
    if (key === undefined) return undefined;
    return find(key) ?? (isToken(key) ? verifyToken?.(key) : undefined);
  };
}

/**
 * Creates the same check for whole requests: the key may also arrive as `X-Api-Key: KEY`, and the request may be signed.
 */
export function createRequestAuthenticator(
  callers: readonly KeyedCaller[],
  verifyToken?: TokenVerifier,
): RequestAuthenticator {
  const credentials = callers.map(({ caller, keys, signature }) => ({ value: caller as Caller, keys, signature }));
  const check =
    callers.length === 0 && verifyToken !== undefined
      ? () => undefined
      : createCredentialCheck(credentials, keyHeaders, localCaller);
  if (verifyToken === undefined) return check;
  return (request) => {
    const found = check(request);
    // If the key is known, only its owner's signature counts.
    if (found !== undefined && (!isSignedRequest(found) || found.claimed !== undefined)) return found;
    const token = bearerKey(singleHeader(request.rawHeaders, "authorization") ?? undefined);
    return token !== undefined && isToken(token) ? verifyToken(token) : found;
  };
}

/** Reports whether a text has the form of a signed token. */
function isToken(text: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text);
}

/** Returns the key of a `Bearer` header exactly as sent, without trimming. */
function bearerKey(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length < 8 || authorization.charCodeAt(6) !== 32) return undefined;
  return authorization.slice(0, 6).toLowerCase() === "bearer" ? authorization.slice(7) : undefined;
}
