/** All scopes, in display order. */
export const allScopes = [
  "tools:execute",
  "tools:read",
  "tools:register",
  "jobs:read",
  "jobs:write",
  "calls:delegate",
  "calls:content",
  "calls:erase",
  "conversations:run",
  "metrics:read",
  "admin",
] as const;

/** A permission of a caller. `admin` includes all others. */
export type Scope = (typeof allScopes)[number];

/** Returns the effective scopes of a caller with the given ones. */
export function grantedScopes(given: readonly Scope[]): ReadonlySet<Scope> {
  return new Set(given.includes("admin") ? allScopes : given);
}

/** The scopes of a key without explicit ones. */
export const defaultScopes: readonly Scope[] = ["tools:execute", "tools:read", "jobs:read"];
