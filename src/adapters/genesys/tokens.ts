import type { TokenSource, TokenSourceOptions } from "../../outbound/oauth.ts";
import { describeTokenFetch, describeTokenRetrieval } from "../../outbound/token-failure.ts";
import type { GenesysSettings } from "./settings.ts";

/** Tokens for the different uses of Genesys' API, each with the scopes and the renewal margin of its requirement. */
export interface GenesysTokens {
  /** For the results of runs (requirement 001.10). */
  readonly runs: TokenSource;
  /** For the LLM Gateway (requirement 002.10). */
  readonly conversations: TokenSource;
  /** For tools that call back into the platform (requirement 000.13). */
  readonly tools: TokenSource;
}

/** Creates the token sources. Returns undefined without credentials. */
export function createGenesysTokens(
  { tokenUrl, clientId, clientSecret, scopes }: GenesysSettings,
  tokenSource: (options: TokenSourceOptions) => TokenSource,
): GenesysTokens | undefined {
  if (clientId === undefined || clientSecret === undefined) return undefined;
  const client = { tokenUrl, clientId, clientSecret };
  const fetched = { refreshBeforeMs: 60_000, describe: describeTokenFetch };
  return {
    runs: tokenSource({
      ...client,
      scopes: scopes ?? "ai:assistant:run:write",
      refreshBeforeMs: 300_000,
      describe: describeTokenRetrieval,
    }),
    conversations: tokenSource({ ...client, ...fetched, scopes: scopes ?? "ai-builder:llm-gateway:write" }),
    tools: tokenSource({ ...client, ...fetched, scopes: scopes ?? "api:access admin:ai:assistant" }),
  };
}
