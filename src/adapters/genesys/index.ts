import type { AdapterSettings } from "../../settings.ts";
import type { Adapter } from "../adapter.ts";
import type { Platform } from "../platform.ts";
import type { AcceptRoute, Reply, RequestFailure, StreamRoute } from "../route.ts";
import { createGenesysDelivery, genesysInstruments } from "./deliver.ts";
import { errorText } from "./payloads.ts";
import { genesysConfiguration, type GenesysSettings } from "./settings.ts";
import { createGenesysTokens } from "./tokens.ts";
import { batchFromGateway, batchFromRun, progressEvent, resultEvent } from "./translate.ts";

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

/** Dependencies of the Genesys adapter. */
export interface GenesysAdapterOptions {
  readonly settings: Pick<
    AdapterSettings & GenesysSettings,
    "answerWithinMs" | "sanitize" | "maxOutput" | "webhookKey" | "signature"
  >;
  readonly callsPerRequest: number;
  /** Whether results can be delivered: there are credentials, or the sandbox simulates the platform. */
  readonly canDeliver: boolean;
}

/**
 * Creates the adapter of Genesys Cloud: the LLM Gateway's webhook, which streams, and the AI Gateway's, whose results
 * are delivered.
 */
export function createGenesysAdapter({ settings, callsPerRequest, canDeliver }: GenesysAdapterOptions): Adapter {
  const { webhookKey, signature, answerWithinMs, sanitize, maxOutput } = settings;
  const gateway: StreamRoute = {
    kind: "stream",
    method: "POST",
    path: "/llm-gateway/tools",
    answerWithinMs,
    batch: (payload) => batchFromGateway(payload, callsPerRequest),
    progress: progressEvent,
    results: (_batch, results) => resultEvent(results, maxOutput),
    failure: (failure) => genesysFailure(failure, "Internal server error during tool ingestion"),
  };
  const worker: AcceptRoute = {
    kind: "accept",
    method: "POST",
    path: "/webhook/tool-calls",
    source: "genesys",
    unavailable: canDeliver
      ? undefined
      : "Results cannot be delivered: set GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET. The batch was not accepted.",
    batch: (payload) => batchFromRun(payload, callsPerRequest),
    accepted: (job) => ({ status: 202, body: '{"status":"accepted"}', headers: { "jackfield-job-id": job.id } }),
    failure: (failure) => genesysFailure(failure, "Internal processing error"),
  };
  return {
    name: "genesys",
    identity: {
      kind: "keys",
      headers: [{ name: "x-api-key" }, { name: "authorization", scheme: "Bearer" }],
      keys: webhookKey === undefined ? [] : [{ name: "genesys", key: webhookKey }],
      signature,
      sanitize,
      maxOutput,
    },
    routes: [gateway, worker],
  };
}

function genesysFailure({ status, message }: RequestFailure, internal: string): Reply {
  if (status === 401) return { status, body: errorText("Invalid or missing webhook key.") };
  return { status, body: errorText(status === 500 ? internal : message) };
}
