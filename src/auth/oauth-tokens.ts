import { decodeJwt, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from "jose";
import type { OauthConfig } from "../config/config.ts";
import { allScopes, type Scope } from "../config/scope.ts";
import type { Caller } from "./caller.ts";
import { createIssuerKeys, type KeyOptions } from "./oauth-keys.ts";
import { tokenCaller } from "./token-caller.ts";

/** Finds the caller of a token; undefined if the token is not valid. */
export type TokenVerifier = (token: string) => Promise<Caller | undefined>;

/** Asymmetric algorithms only: with a shared secret, every holder could sign. */
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];

/** Accepted clock skew in seconds. */
const leewaySeconds = 60;

/**
 * How long a verified token is trusted without another verification, in milliseconds. In that time a withdrawn key goes
 * unnoticed.
 */
const trustMs = 60_000;

/** Maximum number of cached verified tokens. */
const maxCached = 1000;

/** Maximum length of a subject. Prefixed with the issuer's name, it becomes the source of calls. */
const maxSubjectLength = 180;

interface Issuer {
  readonly config: OauthConfig;
  readonly keys: JWTVerifyGetKey;
}

interface Verified {
  readonly caller: Caller;
  /** When the token must be verified again, in Unix milliseconds. */
  until: number;
}

/**
 * Creates the check of access tokens (RFC 9068, without its requirements on `typ`, `jti` and `client_id`, which many
 * issuers ignore).
 */
export function createTokenVerifier(
  configs: readonly OauthConfig[],
  options: KeyOptions & { readonly wallClock?: () => number },
): TokenVerifier {
  const { wallClock = Date.now } = options;
  const issuers = new Map<string, Issuer>(
    configs.map((config) => [config.issuer, { config, keys: createIssuerKeys(config, options) }]),
  );
  const cached = new Map<string, Verified>();

  function cache(token: string, caller: Caller, expiresAtMs: number): Caller {
    const known = cached.get(token);
    cached.delete(token);
    if (cached.size >= maxCached) {
      const [oldest] = cached.keys();
      if (oldest !== undefined) cached.delete(oldest);
    }
    // Reuses the object, because other parts cache by caller identity.
    const verified = known ?? { caller, until: 0 };
    verified.until = Math.min(wallClock() + trustMs, expiresAtMs);
    cached.set(token, verified);
    return verified.caller;
  }

  return async (token) => {
    const known = cached.get(token);
    if (known !== undefined && wallClock() < known.until) return known.caller;
    try {
      const issuer = issuers.get(decodeJwt(token).iss ?? "");
      if (issuer === undefined) return undefined;
      const { payload } = await jwtVerify(token, issuer.keys, {
        issuer: issuer.config.issuer,
        audience: [...issuer.config.audiences],
        algorithms,
        clockTolerance: leewaySeconds,
        currentDate: new Date(wallClock()),
        requiredClaims: ["exp", "sub"],
      });
      const caller = callerFrom(payload, issuer.config);
      return caller && cache(token, caller, ((payload.exp ?? 0) + leewaySeconds) * 1000);
    } catch {
      // An invalid token identifies nobody, and its sender is not told why.
      cached.delete(token);
      return undefined;
    }
  };
}

function callerFrom(payload: JWTPayload, config: OauthConfig): Caller | undefined {
  // jose does not check the claim's type: as text, all objects would be one subject.
  const sub: unknown = payload.sub;
  if (typeof sub !== "string" || sub === "" || sub.length > maxSubjectLength) return undefined;
  const granted = config.scopeClaims.flatMap((claim) =>
    claimValues(Object.hasOwn(payload, claim) ? payload[claim] : ""),
  );
  return tokenCaller(
    config,
    sub,
    granted.flatMap((value) => scopesOf(value, config.scopes)),
  );
}

/** Reads a claim that is a space-separated text or a list. */
function claimValues(claim: unknown): string[] {
  if (typeof claim === "string") return claim.split(" ");
  return Array.isArray(claim) ? claim.filter((value) => typeof value === "string") : [];
}

function scopesOf(value: string, mapping: OauthConfig["scopes"]): readonly Scope[] {
  if (mapping !== undefined) return Object.hasOwn(mapping, value) ? (mapping[value] ?? []) : [];
  return allScopes.filter((scope) => scope === value);
}
