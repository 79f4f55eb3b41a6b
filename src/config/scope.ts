/** All scopes, in the order in which they are listed to people. */
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

/** What a caller may do. `admin` includes all others. */
export type Scope = (typeof allScopes)[number];

/** The scopes that a caller has who is given these. */
export function grantedScopes(given: readonly Scope[]): ReadonlySet<Scope> {
  return new Set(given.includes("admin") ? allScopes : given);
}

/** The scopes of a key that names none. */
export const defaultScopes: readonly Scope[] = ["tools:execute", "tools:read", "jobs:read"];
