import type { Context } from "@opentelemetry/api";
import type { Job } from "../../gen/jackfield/v1/jobs_pb.ts";

/** How one attempt of a delivery ended. */
export type DeliveryResult =
  | { kind: "delivered" }
  /** Try again: after `afterMs` milliseconds where the platform said so, else after the runner's backoff. */
  | { kind: "retry"; error: string; afterMs?: number }
  /** Trying again cannot help. */
  | { kind: "dead"; error: string };

/** Sends a job's results to the platform: one attempt. Never throws for an answer of the platform. */
export type Delivery = (record: { readonly job: Job }, signal: AbortSignal, trace?: Context) => Promise<DeliveryResult>;
