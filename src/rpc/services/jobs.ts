import { create } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { JobSchema, JobState, type Job, type Jobs } from "../../../gen/jackfield/v1/jobs_pb.ts";
import {
  ToolErrorSchema,
  ToolResultSchema,
  type ToolCall,
  type ToolResult,
} from "../../../gen/jackfield/v1/tool_pb.ts";
import { allowsTool, type Caller } from "../../auth/caller.ts";
import type { Limits } from "../../config/config.ts";
import { rpcError } from "../../errors.ts";
import { canonicalArguments, contentDigest, derivedId, isDerivedId, withArgumentsText } from "../../jobs/job-id.ts";
import type { JobQueue, JobRecord } from "../../jobs/job-queue.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { kTrace } from "../../telemetry/trace-key.ts";
import { callerWith, checkId, contextOf, pageSize } from "./check-request.ts";

/** Dependencies of Jobs. */
export interface JobsParts {
  readonly queue: JobQueue;
  /** Sources whose results are delivered, each for one tenant. Results of other jobs are kept for queries. */
  readonly deliveries: Readonly<Record<string, { readonly tenant: string }>>;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
}

/** Creates the implementation of Jobs. A caller sees only the jobs of its own tenant. */
export function createJobs({ queue, deliveries, limits, telemetry }: JobsParts): ServiceImpl<typeof Jobs> {
  async function own(id: string, caller: Caller): Promise<JobRecord> {
    checkId("id", id);
    const record = await queue.get(id);
    if (record !== undefined && record.tenant !== caller.tenant) auditForeignTenant(caller, id);
    if (record === undefined || record.tenant !== caller.tenant) throw rpcError("job-not-found", JSON.stringify(id));
    return record;
  }

  function auditForeignTenant({ name, tenant }: Caller, id: string): void {
    const reason = "the job belongs to another tenant";
    const time = new Date().toISOString();
    telemetry.audit.write({
      event: "access_refused",
      time,
      code: "not_found",
      caller: name,
      tenant,
      job_id: id,
      reason,
    });
  }

  /** Returns a submitted job, validated: with its source. */
  function submitted(job: Job | undefined, caller: Caller): SubmittedJob {
    if (job === undefined) throw rpcError("invalid-request", "job must be set");
    checkId("job.id", job.id);
    checkId("job.source", job.source);
    if (job.calls.length === 0) throw rpcError("invalid-request", "job.calls must not be empty");
    if (job.calls.length > limits.callsPerRequest) throw rpcError("too-many-calls", String(limits.callsPerRequest));
    for (const call of job.calls) checkId("job.calls.id", call.id);
    const callContext = contextOf(job.context, caller);
    const source = job.source !== "" && caller.scopes.has("calls:delegate") ? job.source : callContext.source;
    return { id: job.id, source, calls: job.calls, context: { ...callContext, source } };
  }

  function audit(event: string, { tenant, name }: Caller, { id, source, context }: Job): void {
    const time = new Date().toISOString();
    telemetry.audit.write({ event, time, caller: name, tenant, source, job_id: id, run_id: context?.runId ?? "" });
  }

  return {
    async submitJob(request, context) {
      const caller = callerWith("jobs:write", context);
      callerWith("tools:execute", context);
      const job = submitted(request.job, caller);
      const canonical = await canonicalArguments(job.calls);
      const digest = contentDigest(caller.tenant, job, canonical);
      const calls = job.calls.map((call, index) => withArgumentsText(call, canonical[index] as string));
      const content = { ...job, id: idOf(job, digest), calls };
      const now = timestampNow();
      const deliverable =
        Object.hasOwn(deliveries, content.source) && deliveries[content.source]?.tenant === caller.tenant;
      const { record, existed } = await queue.enqueue({
        job: create(JobSchema, { ...content, state: JobState.ACCEPTED, createTime: now, updateTime: now }),
        tenant: caller.tenant,
        caller: caller.name,
        ...(caller.sanitize !== undefined && { sanitize: caller.sanitize }),
        delivery: deliverable ? content.source : "",
        deliveryMs: 0,
        failures: 0,
        traceparent: traceparentOf(context, telemetry),
      });
      if (!existed) audit("job_submitted", caller, record.job);
      // A caller that used the id of another tenant's job, or of another batch, must not see that job.
      else if ((await digestOf(record)) !== digest) throw rpcError("job-id-taken", JSON.stringify(content.id));
      return { job: visibleJob(record, caller) };
    },

    async getJob({ id }, context) {
      const caller = callerWith("jobs:read", context);
      return { job: visibleJob(await own(id, caller), caller) };
    },

    async listJobs({ state, pageSize: requested, pageToken }, context) {
      const caller = callerWith("jobs:read", context);
      const page = { tenant: caller.tenant, state, size: pageSize(requested), after: pageToken };
      const { records, next } = await queue.list(page);
      return { jobs: records.map((record) => visibleJob(record, caller)), nextPageToken: next };
    },

    async retryJob({ id }, context) {
      const caller = callerWith("jobs:write", context);
      await own(id, caller);
      const record = changed(await queue.retry(id), id, "is not dead: only a dead job can be retried");
      audit("job_retried", caller, record.job);
      return { job: visibleJob(record, caller) };
    },

    async cancelJob({ id }, context) {
      const caller = callerWith("jobs:write", context);
      await own(id, caller);
      const why = "has been executed or is being executed: it cannot be cancelled";
      const record = changed(await queue.cancel(id), id, why);
      audit("job_cancelled", caller, record.job);
      return { job: visibleJob(record, caller) };
    },
  };
}

async function digestOf({ tenant, job }: JobRecord): Promise<string> {
  return contentDigest(tenant, job, await canonicalArguments(job.calls));
}

function changed(record: JobRecord | false | undefined, id: string, why: string): JobRecord {
  if (record === undefined) throw rpcError("job-not-found", JSON.stringify(id));
  if (record === false) throw rpcError("job-wrong-state", `the job ${JSON.stringify(id)} ${why}`);
  return record;
}

function traceparentOf(context: HandlerContext, telemetry: Telemetry): string {
  const trace = context.values.get(kTrace);
  return trace === undefined ? "" : (telemetry.inject(trace)["traceparent"] ?? "");
}

/**
 * Returns a job as a caller may see it. Arguments and results are visible to the caller who submitted the job, and to
 * others with `calls:content` for tools that they may use. Otherwise each call and result contains only its id, name
 * and outcome.
 */
function visibleJob({ job, caller: submitter }: JobRecord, caller: Caller): Job {
  if (submitter === caller.name) return job;
  const content = caller.scopes.has("calls:content");
  const shows = (name: string): boolean => content && allowsTool(caller, name);
  return {
    ...job,
    calls: job.calls.map((call) => (shows(call.name) ? call : withoutArguments(call))),
    results: job.results.map((result) => (shows(result.name) ? result : withoutContent(result))),
  };
}

function withoutArguments(call: ToolCall): ToolCall {
  return { ...call, input: { case: undefined } };
}

function withoutContent({
  callId,
  name,
  outcome,
  truncated,
  replayed,
  attempts,
  duration,
  error,
}: ToolResult): ToolResult {
  const known = { callId, name, outcome, truncated, replayed, attempts, ...(duration !== undefined && { duration }) };
  return create(ToolResultSchema, error === undefined ? known : { ...known, error: create(ToolErrorSchema) });
}

/** A job as its caller submits it. The id may be empty. */
type SubmittedJob = Pick<Job, "id" | "source" | "calls"> & Required<Pick<Job, "context">>;

/** Returns a job's own id, or derives one. Throws if the job has an id that only another job can have. */
function idOf(job: SubmittedJob, digest: string): string {
  const derived = derivedId(digest);
  if (isDerivedId(job.id) && job.id !== derived) throw rpcError("job-id-reserved", JSON.stringify(job.id));
  return job.id === "" ? derived : job.id;
}
