import { clone, create } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues, type Client } from "@connectrpc/connect";
import { SpanKind, SpanStatusCode, type Context } from "@opentelemetry/api";
import { JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { CallContextSchema, Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { contextAttributes, contextFields } from "../telemetry/attributes.ts";
import { kJob, kTrace } from "../telemetry/trace-key.ts";
import { createBackoff, type Backoff } from "./backoff.ts";
import type { Deliveries } from "./delivery.ts";
import { createDeliverer } from "./deliver.ts";
import { identifiedCalls } from "./job-id.ts";
import type { JobLease, JobQueue, JobRecord, JobWorker, WorkResult } from "./job-queue.ts";
import { isOver, moved } from "./job-state.ts";

/** Dependencies and limits of the runner. */
export interface JobRunnerOptions {
  queue: JobQueue;
  /**
   * Returns the client that runs a job's calls with the rights of the caller who submitted it. Throws a ConnectError
   * (PermissionDenied) if that caller is no longer configured: then the job is dead.
   */
  executorFor(record: JobRecord): Client<typeof ToolExecutor>;
  deliveries: Deliveries;
  telemetry: Pick<Telemetry, "log" | "begin" | "metrics" | "extract" | "inject" | "redact">;
  /** Time limit for all attempts of one delivery, pauses included, in milliseconds. */
  retryForMs: number;
  /** Maximum number of concurrent jobs; 16 by default. */
  concurrency?: number;
  /** Pause after a failed attempt, unless the platform requests one. */
  backoff?: Backoff;
  /** A monotonic clock in milliseconds. */
  now?: () => number;
}

/** Errors of the executor that no retry would change. */
const permanent: ReadonlySet<Code> = new Set([
  Code.InvalidArgument,
  Code.PermissionDenied,
  Code.Unauthenticated,
  Code.Unimplemented,
]);

/** Errors of the executor that pass: the store is unavailable, or the process is shutting down. */
const temporary: ReadonlySet<Code> = new Set([
  Code.Unavailable,
  Code.Canceled,
  Code.Aborted,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
]);

/** Number of consecutive executions with any other error after which a job is dead. */
const failureLimit = 5;

/**
 * Takes jobs from the queue and processes them: executes, records, delivers. Each step is durable before the next one
 * begins, so that after a restart a job continues from its last recorded step. No failure loses a job: it is retried,
 * or becomes a dead letter with the reason.
 */
export function createJobRunner(options: JobRunnerOptions): JobWorker {
  const { queue, executorFor, telemetry, concurrency = 16 } = options;
  const { backoff = createBackoff(), now = () => performance.now() } = options;
  const deliver = createDeliverer({ ...options, backoff, now, dead });
  /** Attempts of executions that wait for the store, by job. The count need not survive a restart. */
  const postponed = new Map<string, number>();

  function dead(record: JobRecord, reason: string): WorkResult {
    const error = telemetry.redact(reason);
    telemetry.log.error({ ...aboutJob(record), delivery: record.delivery, error }, "a job became a dead letter");
    return { kind: "ended", record: moved(record, JobState.DEAD, { error }) };
  }

  async function execute(record: JobRecord, lease: JobLease, trace: Context): Promise<JobRecord> {
    const { id, source } = record.job;
    const stored = clone(CallContextSchema, record.job.context ?? emptyContext);
    if (stored.source === "") stored.source = source;
    const { calls, context } = identifiedCalls(id, record.job.calls, stored);
    // The header is for an executor in another process, the context value for one in this process.
    const contextValues = createContextValues().set(kTrace, trace).set(kJob, id);
    const callOptions = { signal: lease.signal, headers: telemetry.inject(trace), contextValues };
    let results: ToolResult[] | undefined;
    for await (const { event } of executorFor(record).executeTools({ calls, context }, callOptions)) {
      if (event.case === "done") results = event.value.results;
    }
    if (results === undefined) throw new Error("the execution ended without its results");
    // Delivered, it would be the model's last word about a call whose result is still to come.
    if (results.some(({ outcome }) => outcome === Outcome.PENDING)) {
      throw new ConnectError("a call of the job is still running in another process", Code.Unavailable);
    }
    return withResults(record, results);
  }

  /** Handles an execution that failed: it is retried, or the job is a dead letter if a retry cannot help. */
  function notExecuted(record: JobRecord, cause: unknown, signal: AbortSignal): WorkResult {
    const { id } = record.job;
    const code = cause instanceof ConnectError ? cause.code : Code.Internal;
    if (cause instanceof ConnectError && permanent.has(code)) return dead(record, cause.rawMessage);
    const failures = temporary.has(code) || signal.aborted ? record.failures : record.failures + 1;
    if (failures >= failureLimit) return dead(record, `the execution failed ${failures} times: ${messageOf(cause)}`);
    const tries = (postponed.get(id) ?? 0) + 1;
    postponed.set(id, tries);
    telemetry.log.warn({ ...aboutJob(record), tries, err: cause }, "a job could not be executed now");
    // The ledger knows which calls are done, so executing the job again repeats none of them.
    const error = telemetry.redact(messageOf(cause));
    const next = { ...record, failures, job: { ...record.job, error } };
    return { kind: "later", record: next, afterMs: signal.aborted ? 0 : backoff(tries) };
  }

  async function processJob(record: JobRecord, lease: JobLease, trace: Context): Promise<WorkResult> {
    if (isOver(record.job.state)) return { kind: "ended", record };
    if (record.job.state === JobState.DELIVERING) return await deliver(record, lease, trace);
    let executed: JobRecord;
    try {
      // A job that has its results comes here if a replica that cannot read it was asked to retry it.
      const { results } = record.job;
      executed = results.length > 0 ? withResults(record, results) : await execute(record, lease, trace);
    } catch (cause) {
      const result = notExecuted(record, cause, lease.signal);
      if (result.kind === "ended") postponed.delete(record.job.id);
      return result;
    }
    postponed.delete(record.job.id);
    if (executed.job.state === JobState.DONE) return { kind: "ended", record: executed };
    await lease.save(executed);
    return await deliver(executed, lease, trace);
  }

  async function work(record: JobRecord, lease: JobLease): Promise<WorkResult> {
    const parent = record.traceparent === "" ? undefined : telemetry.extract(record.traceparent);
    const { id, source, context: callContext } = record.job;
    const attributes = { "jackfield.source": source, ...contextAttributes(callContext ?? emptyContext, id) };
    const { context, span } = telemetry.begin("job", parent, () => ({ kind: SpanKind.CONSUMER, attributes }));
    try {
      const result = await processJob(record, lease, context);
      const { error } = result.record.job;
      if (error !== "") span?.setStatus({ code: SpanStatusCode.ERROR, message: error });
      return result;
    } finally {
      span?.end();
    }
  }

  return queue.work(work, { concurrency });
}

/** Returns the record of a job that has been executed. */
function withResults(record: JobRecord, results: ToolResult[]): JobRecord {
  const executed = moved(record, record.delivery === "" ? JobState.DONE : JobState.DELIVERING, { error: "" });
  return { ...executed, failures: 0, job: { ...executed.job, results } };
}

const emptyContext = create(CallContextSchema);

/** The fields that every log line of a job carries. */
function aboutJob({ job }: JobRecord): Record<string, string | undefined> {
  return contextFields(job.context ?? emptyContext, job.id);
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
