import type { Context } from "@opentelemetry/api";
import type { Job } from "../../gen/jackfield/v1/jobs_pb.ts";

/** The result of one delivery attempt. */
export type DeliveryResult =
  | { kind: "delivered" }
  /** Retry: after `afterMs` if the platform requested a pause, otherwise after the runner's backoff. */
  | { kind: "retry"; error: string; afterMs?: number }
  /** A retry cannot help. */
  | { kind: "dead"; error: string };

/** Makes one attempt to send a job's results to the platform. Never throws because of the platform's answer. */
export type Delivery = (record: { readonly job: Job }, signal: AbortSignal, trace?: Context) => Promise<DeliveryResult>;
