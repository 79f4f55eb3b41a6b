import { create } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import { JobSchema, JobState, type Job, type Jobs } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { hasScope } from "../../auth/caller.ts";
import type { Limits } from "../../config/config.ts";
import { rpcError } from "../../errors.ts";
import { jobIdFrom } from "../../jobs/job-id.ts";
import type { JobQueue, JobRecord } from "../../jobs/job-queue.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { kTrace } from "../../telemetry/trace-key.ts";
import { callerWith, checkId, contextOf, pageSize } from "./check-request.ts";

/** What the implementation of Jobs works on. */
export interface JobsParts {
  readonly queue: JobQueue;
  /** Sources whose results are delivered; jobs of any other are kept for whoever asks. */
  readonly deliveries: ReadonlySet<string>;
  readonly limits: Limits;
  readonly telemetry: Telemetry;
}

/** The implementation of Jobs. A caller sees the jobs of its own tenant only. */
export function createJobs({ queue, deliveries, limits, telemetry }: JobsParts): ServiceImpl<typeof Jobs> {
  async function own(id: string, tenant: string): Promise<JobRecord> {
    checkId("id", id);
    const record = await queue.get(id);
    if (record === undefined || record.tenant !== tenant) throw rpcError("job-not-found", JSON.stringify(id));
    return record;
  }

  return {
    async submitJob(request, context) {
      const caller = callerWith("jobs:write", context);
      const { job } = request;
      if (job === undefined) throw rpcError("invalid-request", "job must be set");
      checkId("job.id", job.id);
      checkId("job.source", job.source);
      if (job.calls.length === 0) throw rpcError("invalid-request", "job.calls must not be empty");
      if (job.calls.length > limits.callsPerRequest) throw rpcError("too-many-calls", String(limits.callsPerRequest));
      for (const call of job.calls) checkId("job.calls.id", call.id);
      const callContext = contextOf(job.context, caller);
      const source = job.source !== "" && hasScope(caller, "calls:delegate") ? job.source : callContext.source;
      const id = job.id !== "" ? job.id : jobIdFrom(caller.tenant, callContext.runId, job.calls);
      const now = timestampNow();
      const { record } = await queue.enqueue({
        job: create(JobSchema, {
          id,
          source,
          calls: job.calls,
          context: { ...callContext, source },
          state: JobState.ACCEPTED,
          createTime: now,
          updateTime: now,
        }),
        tenant: caller.tenant,
        caller: caller.name,
        delivery: deliveries.has(source) ? source : "",
        deliveringSince: 0,
        traceparent: traceparentOf(context, telemetry),
      });
      // Another tenant's job must not be shown, not even to who guesses its id.
      if (record.tenant !== caller.tenant)
        throw rpcError("job-wrong-state", `the id ${JSON.stringify(id)} cannot be used`);
      return { job: record.job };
    },

    async getJob({ id }, context) {
      const caller = callerWith("jobs:read", context);
      return { job: (await own(id, caller.tenant)).job };
    },

    async listJobs({ state, pageSize: asked, pageToken }, context) {
      const caller = callerWith("jobs:read", context);
      const page = { tenant: caller.tenant, state, size: pageSize(asked), after: pageToken };
      const { records, next } = await queue.list(page);
      return { jobs: records.map(({ job }): Job => job), nextPageToken: next };
    },

    async retryJob({ id }, context) {
      const caller = callerWith("jobs:write", context);
      await own(id, caller.tenant);
      return { job: changed(await queue.retry(id), id, "is not dead: only a dead job can be retried") };
    },

    async cancelJob({ id }, context) {
      const caller = callerWith("jobs:write", context);
      await own(id, caller.tenant);
      return {
        job: changed(await queue.cancel(id), id, "has been executed or is being executed: it cannot be cancelled"),
      };
    },
  };
}

function changed(record: JobRecord | false | undefined, id: string, why: string): Job {
  if (record === undefined) throw rpcError("job-not-found", JSON.stringify(id));
  if (record === false) throw rpcError("job-wrong-state", `the job ${JSON.stringify(id)} ${why}`);
  return record.job;
}

function traceparentOf(context: HandlerContext, telemetry: Telemetry): string {
  const trace = context.values.get(kTrace);
  return trace === undefined ? "" : (telemetry.inject(trace)["traceparent"] ?? "");
}
