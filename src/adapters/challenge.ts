import type { Scope } from "../auth/caller.ts";

/** The `WWW-Authenticate` headers of a door that takes keys and tokens. Source: RFC 6750 section 3, RFC 9728 section 5.1. */
export interface Challenges {
  /** For a request without a credential. */
  readonly missing: string;
  /** For a credential that proves nobody. */
  readonly invalid: string;
  /** For a caller that lacks a scope. */
  insufficient(scope: Scope): string;
}

/**
 * Makes the headers. Without `metadataUrl` they say nothing but `Bearer`: hosts that are given a fixed key would else begin
 * a login and drop the key.
 */
export function createChallenges(metadataUrl: string | undefined): Challenges {
  if (metadataUrl === undefined) {
    return { missing: "Bearer", invalid: "Bearer", insufficient: () => "Bearer" };
  }
  const resource = `resource_metadata="${metadataUrl}"`;
  const scopes = 'scope="tools:read tools:execute"';
  return {
    missing: `Bearer ${resource}, ${scopes}`,
    invalid: `Bearer error="invalid_token", ${resource}, ${scopes}`,
    insufficient: (scope) => `Bearer error="insufficient_scope", scope="${scope}", ${resource}`,
  };
}
