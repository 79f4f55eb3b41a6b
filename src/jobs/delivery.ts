import type { Context } from "@opentelemetry/api";
import type { JobRecord } from "./job-queue.ts";

/** How one try of a delivery ended. */
export type DeliveryResult =
  | { kind: "delivered" }
  /** Try again: after `afterMs` where the platform asked for a pause, else after the runner's backoff. */
  | { kind: "retry"; error: string; afterMs?: number }
  /** Trying again cannot help. */
  | { kind: "dead"; error: string };

/** Sends a job's results to the platform, within a trace: one try. Never throws for what the platform answers. */
export type Delivery = (record: JobRecord, signal: AbortSignal, trace?: Context) => Promise<DeliveryResult>;

/** Deliveries by source, each with the tenant that its credentials belong to. */
export type Deliveries = Readonly<Record<string, { readonly tenant: string; readonly send: Delivery }>>;
