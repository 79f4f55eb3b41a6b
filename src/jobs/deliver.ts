import type { Context } from "@opentelemetry/api";
import { create } from "@bufbuild/protobuf";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { CallContextSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { contextFields } from "../telemetry/attributes.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { Backoff } from "./backoff.ts";
import type { Deliveries, Delivery, DeliveryResult } from "./delivery.ts";
import type { JobLease, JobRecord, WorkResult } from "./job-queue.ts";
import { moved } from "./job-state.ts";

/** Dependencies and limits of deliveries. */
export interface DelivererOptions {
  readonly deliveries: Deliveries;
  readonly telemetry: Pick<Telemetry, "log" | "metrics" | "redact">;
  /** Time limit for all attempts of one delivery, pauses included, in milliseconds. */
  readonly retryForMs: number;
  readonly backoff: Backoff;
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** Declares a job dead, with the reason. */
  readonly dead: (record: JobRecord, reason: string) => WorkResult;
}

/** Maximum pause between two attempts, in milliseconds, even if the platform requests a longer one. */
const maxPauseMs = 600_000;

/** Attempts the delivery of an executed job once, and decides whether to retry. */
export type Deliver = (record: JobRecord, lease: JobLease, trace: Context) => Promise<WorkResult>;

/** Creates the runner's delivery step. */
export function createDeliverer(options: DelivererOptions): Deliver {
  const { deliveries, telemetry, retryForMs, backoff, now, dead } = options;

  /** Returns the pause that the platform requests, limited to the range from our own first pause to the maximum. */
  function pauseAfter(requestedMs: number | undefined, tries: number): number {
    return requestedMs === undefined ? backoff(tries) : Math.min(Math.max(requestedMs, backoff(1)), maxPauseMs);
  }

  return async (record, lease, trace) => {
    const { delivery: source } = record;
    const delivery = Object.hasOwn(deliveries, source) ? deliveries[source] : undefined;
    if (delivery === undefined) return dead(record, `no delivery ${source} is configured`);
    // The configured credentials belong to another tenant.
    if (delivery.tenant !== record.tenant) return dead(record, `no delivery ${source} is configured for this tenant`);
    // DANGER: after a pause of the process another worker may hold the job. Nothing may be sent before the lease is
    // confirmed.
    if (!lease.valid()) await lease.save(record);
    const attempts = record.job.attempts + 1;
    const startedAt = now();
    const result = await attempt(delivery.send, { ...record, job: { ...record.job, attempts } }, lease.signal, trace);
    const deliveryMs = Math.ceil(record.deliveryMs + now() - startedAt);
    const tried = { ...record, deliveryMs, job: { ...record.job, attempts } };
    const { id, context } = record.job;
    const fields = { ...contextFields(context ?? create(CallContextSchema), id), delivery: source, attempts };
    if (result.kind === "delivered") {
      telemetry.metrics.delivered({ platform: source, result: "delivered" });
      telemetry.log.info(fields, "results were delivered");
      return { kind: "ended", record: moved(tried, JobState.DONE, { error: "" }) };
    }
    if (result.kind === "retry" && lease.signal.aborted) return { kind: "later", record, afterMs: 0 };
    const pauseMs = result.kind === "retry" ? pauseAfter(result.afterMs, attempts) : 0;
    if (result.kind === "dead" || deliveryMs + pauseMs > retryForMs) {
      telemetry.metrics.delivered({ platform: source, result: "dead" });
      return dead(tried, result.error);
    }
    const error = telemetry.redact(result.error);
    telemetry.metrics.delivered({ platform: source, result: "retry" });
    telemetry.log.warn({ ...fields, wait_ms: Math.round(pauseMs), error }, "a delivery will be tried again");
    const next = { ...tried, deliveryMs: deliveryMs + pauseMs, job: { ...tried.job, error } };
    return { kind: "later", record: next, afterMs: pauseMs };
  };
}

async function attempt(
  send: Delivery,
  record: JobRecord,
  signal: AbortSignal,
  trace: Context,
): Promise<DeliveryResult> {
  try {
    return await send(record, signal, trace);
  } catch (cause) {
    return { kind: "retry", error: cause instanceof Error ? cause.message : String(cause) };
  }
}
