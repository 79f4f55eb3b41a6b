import type { Outbound } from "./http.ts";
import type { DescribeTokenFailure } from "./token-failure.ts";
import { TokenError } from "./token-failure.ts";
import { type TokenGrant, TokenRefusedError, requestToken, type TokenClient } from "./token-request.ts";

/** Gives the access token of one client. */
export interface TokenSource {
  /** A token that holds for a while yet. Throws a TokenError. */
  get(): Promise<string>;
  /** A token other than one that was turned away; asks the endpoint only where nobody has replaced it yet. */
  refresh(stale: string): Promise<string>;
}

/** What a source of tokens can be told. */
export interface TokenSourceOptions extends TokenClient {
  /** Milliseconds before its end from which a token is not used any more. */
  readonly refreshBeforeMs: number;
  /** The words of a failure. */
  readonly describe: DescribeTokenFailure;
}

/** What sources of tokens are made with. */
export interface TokenSourcesOptions {
  readonly send: Outbound["send"];
  /** Monotonic clock in milliseconds: steps of the wall clock neither lengthen nor shorten a token's life. */
  readonly now?: () => number;
  /** Gets each text of a token endpoint's answer that nobody else may see. */
  readonly hide?: ((token: string) => void) | undefined;
  /** Milliseconds that a token request may take, 10000 by default. */
  readonly timeoutMs?: number;
}

/** A token in use. */
interface HeldToken extends TokenGrant {
  readonly since: number;
}

/** What is shared by all sources of the same URL, client and scopes. */
interface Entry {
  held: HeldToken | undefined;
  pending: Promise<HeldToken> | undefined;
  /** No early refresh before this time: an endpoint that is down is not asked at every use of a token that still holds. */
  restUntil: number;
}

/** A token that its endpoint says ends at once, or within the margin, is used for this long all the same: no hot loop. */
const minUseMs = 1000;

/** Makes sources of tokens that share one token, and one request in flight, per URL, client and scopes. */
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
    if (entry === undefined) entries.set(key, (entry = { held: undefined, pending: undefined, restUntil: -Infinity }));
    return entry;
  }

  async function replace(entry: Entry, options: TokenSourceOptions): Promise<string> {
    entry.pending ??= requestToken(options, { send, hide, timeoutMs })
      .then((granted) => (entry.held = { ...granted, since: now() }))
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
        const { held } = entry;
        if (held === undefined) return replace(entry, options);
        const age = now() - held.since;
        if (age < Math.max(held.lifetimeMs - options.refreshBeforeMs, minUseMs)) return held.text;
        if (age >= held.lifetimeMs) return replace(entry, options);
        if (now() < entry.restUntil) return held.text;
        return replace(entry, options).catch(() => {
          entry.restUntil = now() + minUseMs;
          return held.text;
        });
      },
      async refresh(stale) {
        const { held } = entry;
        if (held !== undefined && held.text !== stale) return held.text;
        // Where no other token can be had, the refused one is not sent again.
        entry.held = undefined;
        return replace(entry, options);
      },
    };
  };
}

/** A source of tokens of its own. */
export function createTokenSource(options: TokenSourceOptions & TokenSourcesOptions): TokenSource {
  return createTokenSources(options)(options);
}
