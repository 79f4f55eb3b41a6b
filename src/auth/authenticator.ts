import type { KeyedCaller } from "../config/caller-settings.ts";
import type { Caller } from "./caller.ts";
import { createHeaderAuthenticator, type HeaderAuthenticator } from "./header-keys.ts";
import { createKeyMatcher } from "./key-matcher.ts";
import { allScopes } from "../config/scope.ts";

/** Who everybody is while no keys are configured: all scopes, all tools. */
export const localCaller: Caller = {
  name: "local",
  tenant: "default",
  scopes: new Set(allScopes),
  tools: undefined,
};

/** Finds who sent an `Authorization` header; undefined where no key proves anybody. */
export type Authenticator = (authorization: string | undefined) => Caller | undefined;

/** Makes the check of `Authorization: Bearer KEY`. Without any key configured everybody is `local`. */
export function createAuthenticator(callers: readonly KeyedCaller[]): Authenticator {
  const known = callers.flatMap(({ caller, keys }) => keys.map((key) => ({ key, value: caller })));
  if (known.length === 0) return () => localCaller;
  const find = createKeyMatcher(known);
  return (authorization) => {
    const key = bearerKey(authorization);
    return key === undefined ? undefined : find(key);
  };
}

/** Finds who sent a request; undefined where no credential proves anybody. */
export type RequestAuthenticator = (request: RequestHead) => Caller | undefined | Promise<Caller | undefined>;

type RequestHead = Parameters<HeaderAuthenticator>[0];

/** Makes the check of `Authorization: Bearer KEY` and `X-Api-Key: KEY`. Without any key configured everybody is `local`. */
export function createRequestAuthenticator(callers: readonly KeyedCaller[]): RequestAuthenticator {
  const known = callers.flatMap(({ caller, keys }) => keys.map((key) => ({ key, value: caller })));
  return createHeaderAuthenticator(known, keyHeaders, localCaller);
}

const keyHeaders = [{ name: "authorization", scheme: "Bearer" }, { name: "x-api-key" }] as const;

/** The key of a `Bearer` header, exactly as sent: nothing is trimmed. */
function bearerKey(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length < 8 || authorization.charCodeAt(6) !== 32) return undefined;
  return authorization.slice(0, 6).toLowerCase() === "bearer" ? authorization.slice(7) : undefined;
}
