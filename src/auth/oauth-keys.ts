import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";

/** Fetches JSON. Rejects where the answer is anything but a 200 with JSON. */
export type FetchJson = (url: string) => Promise<unknown>;

/** Where an issuer's keys come from. */
export interface KeySource {
  readonly issuer: string;
  /** Undefined: where the issuer's metadata says. */
  readonly jwksUrl: string | undefined;
}

/** How keys are fetched. Times in milliseconds. */
export interface KeyOptions {
  readonly fetchJson: FetchJson;
  /** Called with why keys could not be fetched. */
  onError(error: unknown): void;
  /** Least time between two fetches for keys that are not known. */
  readonly cooldownMs?: number;
  /** Age from which keys are fetched again beside the requests that use them. */
  readonly maxAgeMs?: number;
  /** Never goes back. */
  readonly now?: () => number;
}

type KeySet = ReturnType<typeof createLocalJWKSet>;

/**
 * Makes the search for an issuer's keys, for `jwtVerify`. Keys are cached and kept while the issuer is away; a key that is
 * not among them makes it fetch again, not more often than every `cooldownMs`.
 */
export function createIssuerKeys(source: KeySource, options: KeyOptions): JWTVerifyGetKey {
  const { fetchJson, onError, cooldownMs = 30_000, maxAgeMs = 600_000, now = () => performance.now() } = options;
  let keys: KeySet | undefined;
  let fetchedAt = -Infinity;
  let triedAt = -Infinity;
  let fetching: Promise<void> | undefined;

  async function fetchKeys(): Promise<void> {
    triedAt = now();
    try {
      const url = source.jwksUrl ?? (await jwksUrlOf(source.issuer, fetchJson));
      keys = createLocalJWKSet((await fetchJson(url)) as JSONWebKeySet);
      fetchedAt = now();
    } catch (error) {
      onError(error);
    } finally {
      fetching = undefined;
    }
  }

  const isDue = (): boolean => now() - triedAt >= cooldownMs;

  return async (header, token) => {
    if (keys === undefined && fetching === undefined && (isDue() || triedAt === -Infinity)) fetching = fetchKeys();
    if (keys === undefined) await fetching;
    else if (now() - fetchedAt >= maxAgeMs && isDue()) fetching ??= fetchKeys();
    if (keys === undefined) throw new errors.JWKSNoMatchingKey();
    try {
      return await keys(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || (fetching === undefined && !isDue())) throw error;
      await (fetching ??= fetchKeys());
      return await keys(header, token);
    }
  };
}

/** Finds the address of the keys in the issuer's metadata. Source: OpenID Connect Discovery 4, RFC 8414 section 3. */
async function jwksUrlOf(issuer: string, fetchJson: FetchJson): Promise<string> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, "");
  const places = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
  let reason: unknown;
  for (const place of places) {
    try {
      const metadata = (await fetchJson(place)) as { issuer?: unknown; jwks_uri?: unknown };
      // Metadata of somebody else must not name the keys of this issuer.
      if (metadata.issuer !== issuer) throw new Error(`the metadata at ${place} is of another issuer`);
      if (typeof metadata.jwks_uri !== "string") throw new Error(`the metadata at ${place} names no jwks_uri`);
      return metadata.jwks_uri;
    } catch (error) {
      reason ??= error;
    }
  }
  throw reason;
}
