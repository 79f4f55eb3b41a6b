import type { GenesysConfig } from "../config/config.ts";
import type { createTokenSources, TokenSource } from "../outbound/oauth.ts";
import { describeTokenFetch, describeTokenRetrieval } from "../outbound/token-failure.ts";

/** Tokens for the two ways in which Genesys is called: each seed asks for its own scope and margin. */
export interface GenesysTokens {
  /** For the results of runs (seed 001). */
  readonly runs: TokenSource;
  /** For the LLM Gateway (seed 002). */
  readonly conversations: TokenSource;
}

/** Makes the token sources; undefined where there are no credentials. */
export function genesysTokens(
  config: GenesysConfig,
  source: ReturnType<typeof createTokenSources>,
): GenesysTokens | undefined {
  if (config.credentials === undefined) return undefined;
  const client = { tokenUrl: config.tokenUrl, ...config.credentials };
  return {
    runs: source({
      ...client,
      scopes: config.scopes ?? "ai:assistant:run:write",
      refreshBeforeMs: 300_000,
      describe: describeTokenRetrieval,
    }),
    conversations: source({
      ...client,
      scopes: config.scopes ?? "ai-builder:llm-gateway:write",
      refreshBeforeMs: 60_000,
      describe: describeTokenFetch,
    }),
  };
}
