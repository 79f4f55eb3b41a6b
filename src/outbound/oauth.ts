import type { Outbound } from "./http.ts";
import type { DescribeTokenFailure } from "./token-failure.ts";
import { TokenError } from "./token-failure.ts";
import { type TokenGrant, TokenRefusedError, requestToken, type TokenClient } from "./token-request.ts";

/** Provides the access token of one client. */
export interface TokenSource {
  /** Returns a token that remains valid for a while. Throws a TokenError. */
  get(): Promise<string>;
  /**
   * Returns the token that replaces the rejected one; requests it only if that has not been done already. An endpoint may
   * issue the same text again.
   */
  refresh(stale: string): Promise<string>;
}

/** Options of a token source. */
export interface TokenSourceOptions extends TokenClient {
  /** How long before its expiry a token is no longer used, in milliseconds. */
  readonly refreshBeforeMs: number;
  /** Builds the message of a failure. */
  readonly describe: DescribeTokenFailure;
}

/** Dependencies of token sources. */
export interface TokenSourcesOptions {
  readonly send: Outbound["send"];
  /** Monotonic clock in milliseconds, so that changes of the wall clock do not affect a token's lifetime. */
  readonly now?: () => number;
  /** Receives each secret text in a token endpoint's answer, for redaction. */
  readonly hide?: ((token: string) => void) | undefined;
  /** Timeout of a token request in milliseconds; 10000 by default. */
  readonly timeoutMs?: number;
}

/** The current token. */
interface CurrentToken extends TokenGrant {
  readonly since: number;
}

/** State shared by all sources with the same URL, client and scopes. */
interface Entry {
  current: CurrentToken | undefined;
  pending: Promise<CurrentToken> | undefined;
  /**
   * No early refresh before this time, so that an endpoint that is down is not called at every use of a valid token.
   */
  retryAt: number;
}

/** Minimum time that a token is used, even if its endpoint declares it expired at once: prevents a hot loop. */
const minUseMs = 1000;

/** Creates token sources that share one token and one request in flight per URL, client and scopes. */
export function createTokenSources({
  send,
  hide = () => {},
  now = () => performance.now(),
  timeoutMs = 10_000,
}: TokenSourcesOptions) {
  const entries = new Map<string, Entry>();

  function entryOf({ tokenUrl, clientId, scopes }: TokenClient): Entry {
    const key = JSON.stringify([tokenUrl, clientId, scopes.split(/\s+/).sort()]);
    let entry = entries.get(key);
    if (entry === undefined) entries.set(key, (entry = { current: undefined, pending: undefined, retryAt: -Infinity }));
    return entry;
  }

  async function replace(entry: Entry, options: TokenSourceOptions): Promise<string> {
    entry.pending ??= requestToken(options, { send, hide, timeoutMs })
      .then((granted) => (entry.current = { ...granted, since: now() }))
      .finally(() => (entry.pending = undefined));
    try {
      return (await entry.pending).text;
    } catch (reason) {
      if (!(reason instanceof TokenRefusedError)) throw reason;
      throw new TokenError(options.describe(reason.failure, options.scopes), reason.failure, reason.cause);
    }
  }

  return (options: TokenSourceOptions): TokenSource => {
    const entry = entryOf(options);
    return {
      async get() {
        const { current } = entry;
        if (current === undefined) return replace(entry, options);
        const age = now() - current.since;
        if (age < Math.max(current.lifetimeMs - options.refreshBeforeMs, minUseMs)) return current.text;
        if (age >= current.lifetimeMs) return replace(entry, options);
        if (now() < entry.retryAt) return current.text;
        return replace(entry, options).catch(() => {
          entry.retryAt = now() + minUseMs;
          return current.text;
        });
      },
      async refresh(stale) {
        const { current } = entry;
        if (current !== undefined && current.text !== stale) return current.text;
        // If the endpoint issues none, the rejected one is not sent again.
        entry.current = undefined;
        return replace(entry, options);
      },
    };
  };
}

/** Creates a token source with its own token. */
export function createTokenSource(options: TokenSourceOptions & TokenSourcesOptions): TokenSource {
  return createTokenSources(options)(options);
}
