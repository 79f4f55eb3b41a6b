import type { Logger } from "pino";
import type { TokenVerifier } from "../auth/oauth-tokens.ts";
import type { OauthConfig } from "../config/config.ts";
import type { Outbound } from "../outbound/http.ts";

/** Timeout of requests to an issuer, in milliseconds. */
const fetchTimeoutMs = 5000;

/**
 * Creates the token check; undefined if tokens are not accepted. Keys are fetched through the outbound guard, from
 * configured origins.
 */
export async function tokenVerifier(
  configs: readonly OauthConfig[],
  { send, log }: { readonly send: Outbound["send"]; readonly log: Logger },
): Promise<TokenVerifier | undefined> {
  if (configs.length === 0) return undefined;
  // Imported on demand, because most services accept no tokens.
  const { createTokenVerifier } = await import("../auth/oauth-tokens.ts");
  const configuredOrigins = new Set(
    configs.flatMap(({ issuer, jwksUrl }) => [issuer, ...(jwksUrl === undefined ? [] : [jwksUrl])]).map(originOf),
  );
  return createTokenVerifier(configs, {
    async fetchJson(url) {
      const signal = AbortSignal.timeout(fetchTimeoutMs);
      const answer = await send(url, { method: "GET" }, { signal, configuredOrigins });
      if (answer.status !== 200) throw new Error(`${url} answered ${answer.status}`);
      return answer.json();
    },
    onError: (error) => log.warn({ err: error }, "the keys of a token issuer could not be fetched"),
  });
}

function originOf(url: string): string {
  return new URL(url).origin;
}
