import type { Platform } from "../platform.ts";
import { createGenesysAdapter } from "./adapter.ts";
import { createGenesysDelivery, genesysInstruments } from "./deliver.ts";
import { genesysConfiguration, type GenesysSettings } from "./settings.ts";
import { createGenesysTokens } from "./tokens.ts";

/** Genesys Cloud. */
export const genesys: Platform<GenesysSettings> = {
  ...genesysConfiguration,
  instruments: genesysInstruments,
  connect(settings, { send, tokenSource, measure, version, callsPerRequest }) {
    const tokens = createGenesysTokens(settings, tokenSource);
    const adapter = createGenesysAdapter({ settings, callsPerRequest, canDeliver: tokens !== undefined });
    if (tokens === undefined) {
      return {
        adapter,
        notes: ["genesys: results cannot be delivered: set GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET"],
      };
    }
    const { apiBaseUrl } = settings;
    return {
      adapter,
      delivery: createGenesysDelivery({
        apiBaseUrl,
        token: tokens.runs,
        send,
        version,
        measure,
        maxOutput: settings.maxOutput,
      }),
      modelGateway: { baseUrl: apiBaseUrl, token: tokens.conversations },
      credentials: { genesys: tokens.tools },
    };
  },
};
