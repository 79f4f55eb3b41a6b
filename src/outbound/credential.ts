import type { CredentialConfig } from "../config/config.ts";
import { Secret } from "../secret.ts";
import type { Credential } from "./http.ts";
import type { TokenSource, TokenSourceOptions } from "./oauth.ts";
import { describeTokenFetch } from "./token-failure.ts";

/** How long before its expiry a token is no longer used, in milliseconds. */
const refreshBeforeMs = 60_000;

/** Creates the credential that the configuration describes. Sources with the same client and scopes share one token. */
export function createCredential(
  config: CredentialConfig,
  tokenSource: (options: TokenSourceOptions) => TokenSource,
): Credential {
  switch (config.kind) {
    case "bearer":
      return fixed({ authorization: `Bearer ${config.token.reveal()}` }, config.token);
    case "basic": {
      const pair = Buffer.from(`${config.username}:${config.password.reveal()}`).toString("base64");
      return fixed({ authorization: `Basic ${pair}` }, new Secret(pair), config.password);
    }
    case "header":
      return fixed({ [config.name.toLowerCase()]: config.value.reveal() }, config.value);
    case "oauth": {
      const { tokenUrl, clientId, clientSecret, scopes } = config;
      const client = { tokenUrl, clientId, clientSecret, scopes: scopes.join(" ") };
      return credentialFromTokens(tokenSource({ ...client, refreshBeforeMs, describe: describeTokenFetch }));
    }
  }
}

/** Creates a credential from a token source. */
export function credentialFromTokens(tokens: TokenSource): Credential {
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
  return {
    secrets: [],
    headers: async () => bearer(await tokens.get()),
    renew: async (refused) => bearer(await tokens.refresh((refused["authorization"] ?? "").slice(7))),
  };
}

function fixed(headers: Readonly<Record<string, string>>, ...secrets: readonly Secret[]): Credential {
  return {
    secrets: secrets.map((secret) => secret.reveal()),
    headers: async () => headers,
    renew: async () => undefined,
  };
}
