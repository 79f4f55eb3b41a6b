import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";

/** Fetches JSON. Rejects unless the response is a 200 with JSON. */
export type FetchJson = (url: string) => Promise<unknown>;

/** Location of an issuer's keys. */
export interface KeySource {
  readonly issuer: string;
  /** URL of the keys. Undefined: taken from the issuer's metadata. */
  readonly jwksUrl: string | undefined;
}

/** How keys are fetched. Durations are in milliseconds. */
export interface KeyOptions {
  readonly fetchJson: FetchJson;
  /** Called with the error when keys could not be fetched. */
  onError(error: unknown): void;
  /** Minimum time between two fetches for unknown keys. */
  readonly cooldownMs?: number;
  /** Age from which keys are refreshed in the background. */
  readonly maxAgeMs?: number;
  /** Monotonic clock. */
  readonly now?: () => number;
}

/** Minimum time after a failed fetch while there are no keys, in milliseconds: until then no token is valid. */
const retryMs = 1000;

type KeySet = ReturnType<typeof createLocalJWKSet>;

/**
 * Creates the key lookup for `jwtVerify`. Keys are cached, also while the issuer is unreachable. An unknown key triggers
 * a fetch, at most once every `cooldownMs`. Keys that could never be fetched are fetched again after a second.
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
      triedAt = now();
      onError(error);
    } finally {
      fetching = undefined;
    }
  }

  const isDue = (): boolean => now() - triedAt >= (keys === undefined ? retryMs : cooldownMs);

  return async (header, token) => {
    if (keys === undefined && fetching === undefined && isDue()) fetching = fetchKeys();
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

/** Finds the URL of the keys in the issuer's metadata. Source: OpenID Connect Discovery 4, RFC 8414 section 3. */
async function jwksUrlOf(issuer: string, fetchJson: FetchJson): Promise<string> {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, "");
  const metadataUrls = [
    `${origin}${path}/.well-known/openid-configuration`,
    `${origin}/.well-known/oauth-authorization-server${path}`,
  ];
  let reason: unknown;
  for (const metadataUrl of metadataUrls) {
    try {
      const metadata = (await fetchJson(metadataUrl)) as { issuer?: unknown; jwks_uri?: unknown };
      // Metadata of another issuer must not determine the keys of this one.
      if (metadata.issuer !== issuer) throw new Error(`the metadata at ${metadataUrl} is of another issuer`);
      if (typeof metadata.jwks_uri !== "string") throw new Error(`the metadata at ${metadataUrl} names no jwks_uri`);
      return metadata.jwks_uri;
    } catch (error) {
      reason ??= error;
    }
  }
  throw reason;
}
