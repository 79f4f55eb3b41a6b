import type { KeyedCaller } from "../config/caller-settings.ts";
import type { Caller } from "./caller.ts";
import type { Secret } from "../secret.ts";
import { createHeaderAuthenticator, createKeyMatcher, type HeaderAuthenticator, singleHeader } from "./header-keys.ts";
import type { TokenVerifier } from "./oauth-tokens.ts";
import { allScopes } from "../config/scope.ts";

/** The caller of every request while no keys are configured: all scopes, all tools. */
export const localCaller: Caller = {
  name: "local",
  tenant: "default",
  scopes: new Set(allScopes),
  tools: undefined,
};

/** Finds the caller of an `Authorization` header; undefined without a valid credential. A promise for a token. */
export type Authenticator = (authorization: string | undefined) => Authenticated;

/** Finds the caller of a request; undefined without a valid credential. A promise for a token. */
export type RequestAuthenticator = (request: RequestHead) => Authenticated;

type Authenticated = Caller | undefined | Promise<Caller | undefined>;

type RequestHead = Parameters<HeaderAuthenticator>[0];

const keyHeaders = [{ name: "authorization", scheme: "Bearer" }, { name: "x-api-key" }] as const;

/**
 * Creates the check of `Authorization: Bearer KEY`; with `verifyToken` the key may be a token. With neither keys nor tokens
 * configured every caller is `local`.
 */
export function createAuthenticator(callers: readonly KeyedCaller[], verifyToken?: TokenVerifier): Authenticator {
  const known = knownKeys(callers);
  if (known.length === 0 && verifyToken === undefined) return () => localCaller;
  const find = createKeyMatcher(known);
  return (authorization) => {
    const key = bearerKey(authorization);
    if (key === undefined) return undefined;
    return find(key) ?? (isToken(key) ? verifyToken?.(key) : undefined);
  };
}

/** Creates the same check for a request, whose key may come as `X-Api-Key: KEY` too. */
export function createRequestAuthenticator(
  callers: readonly KeyedCaller[],
  verifyToken?: TokenVerifier,
): RequestAuthenticator {
  const known = knownKeys(callers);
  const byKey =
    known.length === 0 && verifyToken !== undefined
      ? () => undefined
      : createHeaderAuthenticator(known, keyHeaders, localCaller);
  if (verifyToken === undefined) return byKey;
  return (request) => {
    const caller = byKey(request);
    if (caller !== undefined) return caller;
    const token = bearerKey(singleHeader(request.rawHeaders, "authorization") ?? undefined);
    return token !== undefined && isToken(token) ? verifyToken(token) : undefined;
  };
}

function knownKeys(callers: readonly KeyedCaller[]): { key: Secret; value: Caller }[] {
  return callers.flatMap(({ caller, keys }) => keys.map((key) => ({ key, value: caller })));
}

/** Whether a text has the form of a signed token. */
function isToken(text: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text);
}

/** The key of a `Bearer` header, exactly as sent: nothing is trimmed. */
function bearerKey(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length < 8 || authorization.charCodeAt(6) !== 32) return undefined;
  return authorization.slice(0, 6).toLowerCase() === "bearer" ? authorization.slice(7) : undefined;
}
