import type { Context } from "@opentelemetry/api";
import type { JobRecord } from "./job-queue.ts";

/** The result of one delivery attempt. */
export type DeliveryResult =
  | { kind: "delivered" }
  /** Retry: after `afterMs` if the platform requested a pause, otherwise after the runner's backoff. */
  | { kind: "retry"; error: string; afterMs?: number }
  /** A retry cannot help. */
  | { kind: "dead"; error: string };

/** Sends a job's results to the platform once, as part of a trace. Never throws because of the platform's answer. */
export type Delivery = (record: JobRecord, signal: AbortSignal, trace?: Context) => Promise<DeliveryResult>;

/** Deliveries by source, each with the tenant that owns its credentials. */
export type Deliveries = Readonly<Record<string, { readonly tenant: string; readonly send: Delivery }>>;
