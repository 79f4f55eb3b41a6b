import type { Scope } from "./caller.ts";

/**
 * The `WWW-Authenticate` headers of an entry point that accepts keys and tokens (RFC 6750, section 3; RFC 9728, section
 * 5.1).
 */
export interface Challenges {
  /** For a request without a credential. */
  readonly missing: string;
  /** For an invalid credential. */
  readonly invalid: string;
  /** For a caller that lacks a scope. */
  insufficient(scope: Scope): string;
}

/**
 * Creates the headers. Without `metadataUrl` they contain only `Bearer`. Otherwise clients that are configured with a
 * fixed key would start a login and discard the key.
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
