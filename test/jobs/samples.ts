import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { JobSchema, JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { CallContextSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { JobRecord } from "../../src/jobs/job-queue.ts";

let count = 0;

/** A job record with an id of its own. */
export function aRecord(
  change: Partial<Omit<JobRecord, "job">> & {
    id?: string;
    state?: JobState;
    context?: MessageInitShape<typeof CallContextSchema>;
  } = {},
): JobRecord {
  const {
    id = `job-${process.pid}-${++count}`,
    state = JobState.ACCEPTED,
    context = { runId: "run-1" },
    ...rest
  } = change;
  return {
    job: create(JobSchema, {
      id,
      source: "genesys",
      calls: [
        { id: "call-1", name: "get_weather", input: { case: "argumentsJson", value: '{"location":"Zürich 😀"}' } },
      ],
      context,
      state,
      createTime: timestampFromMs(1_700_000_000_000),
    }),
    tenant: "default",
    caller: "crm",
    delivery: "genesys",
    deliveryMs: 0,
    failures: 0,
    traceparent: "",
    ...rest,
  };
}
