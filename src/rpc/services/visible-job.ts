import { create } from "@bufbuild/protobuf";
import type { Job } from "../../../gen/jackfield/v1/jobs_pb.ts";
import {
  ToolErrorSchema,
  ToolResultSchema,
  type ToolCall,
  type ToolResult,
} from "../../../gen/jackfield/v1/tool_pb.ts";
import { allowsTool, hasScope, type Caller } from "../../auth/caller.ts";
import type { JobRecord } from "../../jobs/job-queue.ts";

/**
 * The job as a caller may see it. Arguments and results are shown to the caller who submitted the job, and to others
 * with `calls:content`, of tools that they may use; else each call and result has its id, name and outcome only.
 */
export function visibleJob({ job, caller: submitter }: JobRecord, caller: Caller): Job {
  if (submitter === caller.name) return job;
  const content = hasScope(caller, "calls:content");
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
