import type { SignatureSettings } from "../../auth/caller.ts";
import { keyProblem, Secret } from "../../secret.ts";
import type { AdapterConfiguration } from "../../settings.ts";

/** Settings of the Genesys adapter. */
export interface GenesysSettings {
  /** Shared secret of the webhooks. If neither it nor a signature is configured, the webhooks are open. */
  readonly webhookKey: Secret | undefined;
  /** How the webhooks are signed. If the shared secret is configured too, both are needed. */
  readonly signature?: SignatureSettings | undefined;
  readonly apiBaseUrl: string;
  readonly tokenUrl: string;
  /** Client credentials. Undefined: results cannot be delivered. */
  readonly clientId: string | undefined;
  readonly clientSecret: Secret | undefined;
  /** Space-separated scopes that replace those of the individual requirements. */
  readonly scopes: string | undefined;
}

const defaultApiBaseUrl = "https://api.mypurecloud.com";

/** Configuration of the Genesys adapter. */
export const genesysConfiguration: AdapterConfiguration<GenesysSettings> = {
  name: "genesys",
  title: "Genesys adapter",
  credentials: ["genesys"],
  defaults: { answerWithinMs: 55_000, maxOutput: 65_536 },
  settings: {
    webhookKey: {
      type: "string",
      secret: true,
      env: "GENESYS_WEBHOOK_KEY",
      description: "Shared secret of the webhooks.",
    },
    signature: {
      type: "object",
      format: "signature",
      description: "How the webhooks are signed. If a webhookKey is configured too, a request needs both.",
    },
    apiBaseUrl: {
      type: "string",
      format: "uri",
      env: "GENESYS_API_BASE_URL",
      description: "Base URL of the API for deliveries and conversations.",
    },
    tokenUrl: { type: "string", format: "uri", env: "GENESYS_TOKEN_URL", description: "URL of the token endpoint." },
    clientId: { type: "string", env: "GENESYS_CLIENT_ID", description: "Client id of the client credentials." },
    clientSecret: {
      type: "string",
      secret: true,
      env: "GENESYS_CLIENT_SECRET",
      description: "Secret of the client credentials.",
    },
    scopes: { type: "string", env: "GENESYS_SCOPES", description: "Scopes to request instead of the usual ones." },
  },
  complete(
    { webhookKey, signature, apiBaseUrl = defaultApiBaseUrl, tokenUrl, clientId, clientSecret, scopes },
    report,
  ) {
    if ((clientId === undefined) !== (clientSecret === undefined)) {
      const [missing, given] = clientId === undefined ? ["ID", "SECRET"] : ["SECRET", "ID"];
      report(`GENESYS_CLIENT_${missing} must be set together with GENESYS_CLIENT_${given}; found it not set.`);
    }
    const problem = webhookKey && keyProblem(webhookKey.reveal());
    if (problem !== undefined) report(`GENESYS_WEBHOOK_KEY ${problem}`);
    return {
      webhookKey,
      signature,
      apiBaseUrl,
      tokenUrl: tokenUrl ?? tokenUrlOf(apiBaseUrl),
      clientId,
      clientSecret,
      scopes: scopes?.trim().replaceAll(/\s+/g, " "),
    };
  },
  openUnless: ({ webhookKey, signature }) =>
    webhookKey === undefined && signature === undefined ? "GENESYS_WEBHOOK_KEY" : undefined,
  sandbox: {
    part: "genesys",
    unless: ["apiBaseUrl", "tokenUrl", "clientId"],
    play: (settings, url) => ({
      ...settings,
      apiBaseUrl: url,
      tokenUrl: `${url}/oauth/token`,
      clientId: "sandbox",
      clientSecret: new Secret("sandbox-secret"),
    }),
  },
};

/** Derives the token endpoint: `login.REGION` if the API is at `api.REGION`. */
export function tokenUrlOf(apiBaseUrl: string): string {
  const { protocol, host } = new URL(apiBaseUrl);
  return host.startsWith("api.") ? `${protocol}//login.${host.slice(4)}/oauth/token` : `${apiBaseUrl}/oauth/token`;
}
