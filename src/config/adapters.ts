import type { AdapterConfig, CognigyConfig, GenesysConfig } from "./config.ts";
import type { Environment } from "./environment.ts";
import { cognigyKeysFrom } from "./keys.ts";
import type { FileConfig } from "./schema.ts";
import { Secret } from "../secret.ts";
import { httpUrl, pick, pickSecret } from "./values.ts";

const genesysCloud = "https://api.mypurecloud.com";

type AdapterFile = Partial<AdapterConfig>;

/** What every adapter can be told, with its defaults. */
export function adapterFrom(file: AdapterFile | undefined, answerWithinMs: number, maxOutput: number): AdapterConfig {
  return {
    answerWithinMs: file?.answerWithinMs ?? answerWithinMs,
    sanitize: file?.sanitize ?? "text",
    maxOutput: file?.maxOutput ?? maxOutput,
    allowUnauthenticated: file?.allowUnauthenticated ?? false,
    enabled: file?.enabled ?? true,
  };
}

/** The Genesys adapter's settings. `real` tells whether anything real is configured for the platform. */
export function genesysFrom(environment: Environment, file: FileConfig): { config: GenesysConfig; real: boolean } {
  const own = file.adapters?.genesys;
  const at = (key: string): string => `adapters.genesys.${key}`;
  const webhookKey = pickSecret(environment, "GENESYS_WEBHOOK_KEY", at("webhookKey"), own?.webhookKey);
  const base = httpUrl(environment, pick(environment, "GENESYS_API_BASE_URL", at("apiBaseUrl"), own?.apiBaseUrl));
  const token = httpUrl(environment, pick(environment, "GENESYS_TOKEN_URL", at("tokenUrl"), own?.tokenUrl));
  const clientId = pickSecret(environment, "GENESYS_CLIENT_ID", at("clientId"), own?.clientId);
  const clientSecret = pickSecret(environment, "GENESYS_CLIENT_SECRET", at("clientSecret"), own?.clientSecret);
  if ((clientId === undefined) !== (clientSecret === undefined)) {
    const given = clientId?.key ?? clientSecret?.key;
    const missing = clientId === undefined ? "GENESYS_CLIENT_ID" : "GENESYS_CLIENT_SECRET";
    environment.fault(`${missing} must be set together with ${given}; found it not set.`);
  }
  const credentials =
    clientId === undefined || clientSecret === undefined
      ? undefined
      : { clientId: clientId.text, clientSecret: new Secret(clientSecret.text) };
  const apiBaseUrl = base ?? genesysCloud;
  return {
    config: {
      ...adapterFrom(own, 55_000, 65_536),
      webhookKey: webhookKey === undefined ? undefined : new Secret(webhookKey.text),
      apiBaseUrl,
      tokenUrl: token ?? `${apiBaseUrl}/oauth/token`,
      credentials,
      scopes: pick(environment, "GENESYS_SCOPES", at("scopes"), own?.scopes)?.text.trim().replaceAll(/\s+/g, " "),
    },
    real: base !== undefined || token !== undefined || clientId !== undefined,
  };
}

/** The Cognigy adapter's settings. */
export function cognigyFrom(environment: Environment, file: FileConfig): CognigyConfig {
  const own = file.adapters?.cognigy;
  const corsOrigins = own?.corsOrigins ?? ["https://app.cognigy.ai"];
  for (const origin of corsOrigins) {
    if (URL.parse(origin)?.origin === origin) continue;
    environment.fault(
      `adapters.cognigy.corsOrigins must hold origins such as https://app.cognigy.ai; found ${JSON.stringify(origin)}.`,
    );
  }
  return {
    ...adapterFrom(own, 5000, 49_152),
    keys: cognigyKeysFrom(environment, file),
    maxPending: own?.maxPending ?? 10_000,
    corsOrigins,
  };
}
