import { hash, timingSafeEqual } from "node:crypto";
import type { Caller, KeyedCaller } from "./caller.ts";
import { allScopes } from "./scope.ts";

/** Who everybody is while no keys are configured: all scopes, all tools. */
export const localCaller: Caller = {
  name: "local",
  tenant: "default",
  scopes: new Set(allScopes),
  tools: undefined,
};

/** Finds who sent an `Authorization` header; undefined where no key proves anybody. */
export type Authenticator = (authorization: string | undefined) => Caller | undefined;

/**
 * Makes the check of `Authorization: Bearer KEY`. Without any key configured everybody is `local`.
 * Digests of equal length are compared, all of them each time, so that the time taken tells nothing of the keys.
 */
export function createAuthenticator(callers: readonly KeyedCaller[]): Authenticator {
  const digests = callers.flatMap(({ caller, keys }) =>
    keys.map((key) => ({ caller, digest: hash("sha256", key.reveal(), "buffer") })),
  );
  if (digests.length === 0) return () => localCaller;
  return (authorization) => {
    const key = bearerKey(authorization);
    if (key === undefined) return undefined;
    const given = hash("sha256", key, "buffer");
    let found: Caller | undefined;
    for (const { caller, digest } of digests) {
      if (timingSafeEqual(given, digest)) found = caller;
    }
    return found;
  };
}

/** The key of a `Bearer` header, exactly as sent: nothing is trimmed. */
function bearerKey(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length < 8 || authorization.charCodeAt(6) !== 32) return undefined;
  return authorization.slice(0, 6).toLowerCase() === "bearer" ? authorization.slice(7) : undefined;
}
