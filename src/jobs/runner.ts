import { clone, create } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import type { Client } from "@connectrpc/connect";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type { Context } from "@opentelemetry/api";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { CallContextSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { kTrace } from "../telemetry/trace-key.ts";
import { createBackoff } from "./backoff.ts";
import type { Backoff } from "./backoff.ts";
import type { DeliveryResult, Delivery } from "./delivery.ts";
import type { JobQueue, JobRecord, WorkResult, JobWorker } from "./job-queue.ts";
import { isOver, moved } from "./job-state.ts";

/** What the runner works with. */
export interface JobRunnerOptions {
  queue: JobQueue;
  /**
   * The client that runs a job's calls with the rights of the caller who submitted it. Throws a ConnectError
   * (PermissionDenied) where that caller is gone for good: then the job is dead.
   */
  executorFor(record: JobRecord): Client<typeof ToolExecutor>;
  /** By the key that a record's `delivery` names. */
  deliveries: Readonly<Record<string, Delivery>>;
  telemetry: Pick<Telemetry, "log" | "begin" | "metrics" | "extract" | "inject">;
  /** How long a delivery is tried again, in milliseconds since its first try. */
  retryForMs: number;
  /** Jobs side by side, 16 by default. */
  concurrency?: number;
  /** Pause after a failed try, where the platform does not say one. */
  backoff?: Backoff;
  /** Unix milliseconds. */
  now?: () => number;
}

/** What goes with a job while it is worked on. */
interface Going {
  save(record: JobRecord): Promise<void>;
  signal: AbortSignal;
  within: Context;
}

/** Answers of the executor that no later try would change. */
const hopeless: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.Unimplemented,
]);

/** Longest pause between two tries, in milliseconds, whatever the platform asks for. */
const longestPauseMs = 600_000;

/**
 * Takes jobs from the queue and carries them through: executes, records, delivers. Each step is durable before the next
 * begins, so that a restart goes on where the last one was recorded. Nothing that goes wrong loses a job: it is tried
 * again, or becomes a dead letter with its reason.
 */
export function createJobRunner(options: JobRunnerOptions): JobWorker {
  const { queue, executorFor, deliveries, telemetry, retryForMs, concurrency = 16 } = options;
  const { backoff = createBackoff(), now = Date.now } = options;
  /** Tries of an execution that did not come about, by job: they need not survive a restart. */
  const postponed = new Map<string, number>();

  function later(record: JobRecord, error: string, afterMs: number): WorkResult {
    return { kind: "later", record: { ...record, job: { ...record.job, error } }, afterMs };
  }

  /** What the platform asks for, but never shorter than our own first pause, nor longer than makes sense. */
  function pauseAfter(askedMs: number | undefined, tries: number): number {
    return askedMs === undefined ? backoff(tries) : Math.min(Math.max(askedMs, backoff(1)), longestPauseMs);
  }

  function dead(record: JobRecord, error: string): WorkResult {
    telemetry.log.error({ job: record.job.id, delivery: record.delivery, error }, "a job became a dead letter");
    return { kind: "ended", record: moved(record, JobState.DEAD, now(), { error }) };
  }

  async function execute(record: JobRecord, { save, signal, within }: Going): Promise<JobRecord> {
    const executing = moved(record, JobState.EXECUTING, now(), { error: "" });
    if (record.job.state !== JobState.EXECUTING) await save(executing);
    const { calls, source } = executing.job;
    const context = clone(CallContextSchema, executing.job.context ?? create(CallContextSchema));
    if (context.source === "") context.source = source;
    // The header for an executor in another process, the value for the one in this.
    const way = { signal, headers: telemetry.inject(within), contextValues: createContextValues().set(kTrace, within) };
    let results: ToolResult[] | undefined;
    for await (const { event } of executorFor(record).executeTools({ calls, context: context }, way)) {
      if (event.case === "done") results = event.value.results;
    }
    if (results === undefined) throw new Error("the execution ended without its results");
    const executed = moved(executing, record.delivery === "" ? JobState.DONE : JobState.DELIVERING, now());
    executed.job.results = results;
    return { ...executed, deliveringSince: record.delivery === "" ? 0 : now() };
  }

  async function deliver(record: JobRecord, { signal, within }: Going): Promise<WorkResult> {
    const { delivery: key } = record;
    const delivery = Object.hasOwn(deliveries, key) ? deliveries[key] : undefined;
    if (delivery === undefined) return dead(record, `no delivery ${key} is configured`);
    const attempts = record.job.attempts + 1;
    const since = record.deliveringSince === 0 ? now() : record.deliveringSince;
    const tried: JobRecord = { ...record, deliveringSince: since, job: { ...record.job, attempts } };
    const delivered = await tryDelivery(delivery, tried, signal, within);
    if (delivered.kind === "retry" && signal.aborted) return later(record, record.job.error, 0);
    if (delivered.kind === "delivered") {
      telemetry.metrics.delivered({ platform: key, result: "delivered" });
      return { kind: "ended", record: moved(tried, JobState.DONE, now(), { error: "" }) };
    }
    const pause = delivered.kind === "retry" ? pauseAfter(delivered.afterMs, attempts) : 0;
    if (delivered.kind === "retry" && now() + pause - since <= retryForMs) {
      telemetry.metrics.delivered({ platform: key, result: "retry" });
      telemetry.log.warn(
        { job: record.job.id, delivery: key, attempts, error: delivered.error },
        "a delivery is tried again",
      );
      return later(tried, delivered.error, pause);
    }
    telemetry.metrics.delivered({ platform: key, result: "dead" });
    return dead(tried, delivered.error);
  }

  /** An execution that did not come about: another try later, or, where no try can help, a dead letter. */
  function notExecuted(record: JobRecord, cause: unknown, signal: AbortSignal): WorkResult {
    const { id } = record.job;
    const tries = (postponed.get(id) ?? 0) + 1;
    // The ledger knows which of its calls are done: executing again repeats none of them.
    const started = moved(record, JobState.EXECUTING, now());
    if (cause instanceof ConnectError && hopeless.has(cause.code)) {
      postponed.delete(id);
      return dead(started, cause.rawMessage);
    }
    postponed.set(id, tries);
    telemetry.log.warn({ job: id, tries, err: cause }, "a job could not be executed now");
    return later(started, messageOf(cause), signal.aborted ? 0 : backoff(tries));
  }

  async function carry(record: JobRecord, going: Going): Promise<WorkResult> {
    if (isOver(record.job.state)) return { kind: "ended", record };
    if (record.job.state === JobState.DELIVERING) return await deliver(record, going);
    let executed: JobRecord;
    try {
      executed = await execute(record, going);
    } catch (cause) {
      return notExecuted(record, cause, going.signal);
    }
    postponed.delete(record.job.id);
    if (executed.job.state === JobState.DONE) return { kind: "ended", record: executed };
    await going.save(executed);
    return await deliver(executed, going);
  }

  async function work(record: JobRecord, save: Going["save"], signal: AbortSignal): Promise<WorkResult> {
    const parent = record.traceparent === "" ? undefined : telemetry.extract(record.traceparent);
    const attributes = { "jackfield.job.id": record.job.id, "jackfield.source": record.job.source };
    const { context, span } = telemetry.begin("job", parent, () => ({ kind: SpanKind.CONSUMER, attributes }));
    try {
      const worked = await carry(record, { save, signal, within: context });
      const { error } = worked.record.job;
      if (error !== "") span?.setStatus({ code: SpanStatusCode.ERROR, message: error });
      return worked;
    } finally {
      span?.end();
    }
  }

  return queue.work(work, { concurrency });
}

async function tryDelivery(
  delivery: Delivery,
  record: JobRecord,
  signal: AbortSignal,
  within: Context,
): Promise<DeliveryResult> {
  try {
    return await delivery(record, signal, within);
  } catch (cause) {
    return { kind: "retry", error: messageOf(cause) };
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
