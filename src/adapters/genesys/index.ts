import type { GenesysConfig } from "../../config/config.ts";
import type { AcceptRoute, Adapter, Fault, Reply, StreamRoute } from "../adapter.ts";
import { createKeyCheck } from "../api-key.ts";
import { errorText, readGateway, readRun } from "./payloads.ts";
import { batchFromGateway, batchFromRun, progressEvent, resultEvent } from "./translate.ts";

export { createGenesysDelivery, type GenesysDeliveryOptions } from "./deliver.ts";

/** What the Genesys adapter is made with. */
export interface GenesysAdapterOptions {
  readonly config: Pick<GenesysConfig, "answerWithinMs" | "webhookKey">;
  readonly callsPerRequest: number;
  /** Whether results can be delivered: there are credentials, or the sandbox plays the platform. */
  readonly canDeliver: boolean;
}

/** Genesys Cloud: the LLM Gateway's webhook, which streams, and the AI Gateway's, which is answered by a delivery. */
export function createGenesysAdapter({ config, callsPerRequest, canDeliver }: GenesysAdapterOptions): Adapter {
  const { webhookKey, answerWithinMs } = config;
  const gateway: StreamRoute = {
    kind: "stream",
    method: "POST",
    path: "/llm-gateway/tools",
    answerWithinMs,
    batch: (payload) => batchFromGateway(readGateway(payload, callsPerRequest)),
    progress: progressEvent,
    results: (_batch, results) => resultEvent(results),
    fault: (fault) => genesysFault(fault, "Internal server error during tool ingestion"),
  };
  const worker: AcceptRoute = {
    kind: "accept",
    method: "POST",
    path: "/webhook/tool-calls",
    answerWithinMs,
    source: "genesys",
    refusal: canDeliver
      ? undefined
      : "Results cannot be delivered: set GENESYS_CLIENT_ID and GENESYS_CLIENT_SECRET. The batch was not accepted.",
    batch: (payload) => batchFromRun(readRun(payload, callsPerRequest)),
    accepted: (job) => ({ status: 202, body: '{"status":"accepted"}', headers: { "jackfield-job-id": job.id } }),
    fault: (fault) => genesysFault(fault, "Internal processing error"),
  };
  return {
    name: "genesys",
    keys: createKeyCheck(webhookKey === undefined ? [] : [{ name: "", key: webhookKey }], [
      { name: "x-api-key" },
      { name: "authorization", scheme: "Bearer" },
    ]),
    routes: [gateway, worker],
  };
}

function genesysFault({ status, message }: Fault, internal: string): Reply {
  if (status === 401) return { status, body: errorText("Invalid or missing webhook key.") };
  return { status, body: errorText(status === 500 ? internal : message) };
}
