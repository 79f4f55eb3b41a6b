import { hash } from "node:crypto";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Job, JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import type { ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../../auth/caller.ts";
import type { ToolCatalogs } from "../tool-catalog.ts";
import { isKeyed, keyedContext } from "../tool-call.ts";
import { callResultText, dependsOnOutputSchema } from "./call-result.ts";
import type { KeyedCall } from "./execute.ts";
import type { Peer } from "./peer.ts";
import { codes, McpError } from "./protocol.ts";

/** Calls that became durable jobs, as MCP's tasks. */
export interface Tasks {
  /** Makes a task of a call that runs. The same call of the same caller gets the same task. Returns the JSON text of the result. */
  start(keyed: KeyedCall, peer: Peer): Promise<string>;
  /** Returns the JSON text of the result of `tasks/get`. Throws an McpError for a task that is not the caller's. */
  get(taskId: unknown, peer: Peer): Promise<string>;
  /** Cancels a task that has not begun; any other goes on. */
  cancel(taskId: unknown, peer: Peer): Promise<void>;
  /** Checks that a task is the caller's. */
  check(taskId: unknown, peer: Peer): Promise<void>;
  /** Returns the state of a task and the JSON text that tells it, undefined where it is not the caller's. */
  status(taskId: string, peer: Peer): Promise<{ state: JobState; text: string } | undefined>;
}

/** What tasks are made with. */
export interface TasksOptions {
  readonly catalogs: ToolCatalogs;
  /** How long a task is kept, in milliseconds. */
  readonly ttlMs: number;
  /** How often a client should ask, in milliseconds. */
  readonly pollIntervalMs: number;
  /** Maximum output in bytes. */
  readonly maxOutput: number;
  /** JSON text that ends the `_meta` of a result, beginning with a comma. */
  readonly metaTail: string;
}

const statuses: ReadonlyMap<JobState, string> = new Map([
  [JobState.DONE, "completed"],
  [JobState.DEAD, "failed"],
  [JobState.CANCELLED, "cancelled"],
]);

/** Makes tasks of jobs: they outlive restarts, and every replica answers for them. */
export function createTasks({ catalogs, ttlMs, pollIntervalMs, maxOutput, metaTail }: TasksOptions): Tasks {
  const meta = `"_meta":{${metaTail.slice(1)}}`;

  async function find(taskId: unknown, { caller, clients, values }: Peer): Promise<Job | undefined> {
    if (typeof taskId !== "string" || taskId === "" || taskId.length > 256) return undefined;
    const found = await known(clients.jobs.getJob({ id: taskId }, values && { contextValues: values }));
    return found?.job !== undefined && isTaskOf(found.job, caller) ? found.job : undefined;
  }

  async function own(taskId: unknown, peer: Peer): Promise<Job> {
    const job = await find(taskId, peer);
    if (job === undefined) throw new McpError(codes.invalidParams, "Task not found");
    return job;
  }

  /** The members of a task, without the braces. */
  function membersOf(job: Job): string {
    const members = JSON.stringify({
      taskId: job.id,
      status: statuses.get(job.state) ?? "working",
      createdAt: isoTime(job.createTime),
      lastUpdatedAt: isoTime(job.updateTime),
      ttlMs,
      pollIntervalMs,
    });
    return members.slice(1, -1);
  }

  /** The members of a task with its end, where it has ended. */
  async function endedMembersOf(job: Job, peer: Peer): Promise<string> {
    if (job.state === JobState.DEAD) {
      const error = { code: codes.internal, message: job.error || "The task could not be executed" };
      return `${membersOf(job)},"error":${JSON.stringify(error)}`;
    }
    const result = job.state === JobState.DONE ? await fittedResult(job, peer) : undefined;
    if (result === undefined) return membersOf(job);
    const hasOutputSchema =
      dependsOnOutputSchema(result) &&
      (await catalogs.get(peer.caller, peer.clients)).find(result.name)?.outputSchema !== undefined;
    return `${membersOf(job)},"result":${callResultText(result, { era: "modern", hasOutputSchema, metaTail })}`;
  }

  /** The result as the caller may read it: a job's own is as long as any output. */
  async function fittedResult({ results, calls, context }: Job, { clients }: Peer): Promise<ToolResult | undefined> {
    const [result] = results;
    if (result === undefined || Buffer.byteLength(result.output) <= maxOutput) return result;
    const found = await known(
      clients.executor.getCall({ callId: calls[0]?.id ?? "", context: context ?? keyedContext("") }),
    );
    return found?.result ?? result;
  }

  /** Tells whether anything of a task has begun: its call runs, or has left its intent. */
  async function hasBegun({ calls, context, state }: Job, { clients }: Peer): Promise<boolean> {
    if (state !== JobState.ACCEPTED) return true;
    const request = { callId: calls[0]?.id ?? "", context: context ?? keyedContext("") };
    return (await known(clients.executor.getCall(request))) !== undefined;
  }

  return {
    async start({ call, context }, peer) {
      const { caller, clients, values } = peer;
      const { job } = await clients.jobs.submitJob(
        {
          $typeName: "jackfield.v1.SubmitJobRequest",
          job: {
            $typeName: "jackfield.v1.Job",
            id: taskIdOf(caller, call.id),
            source: "",
            calls: [call],
            context,
            state: JobState.UNSPECIFIED,
            results: [],
            attempts: 0,
            error: "",
          },
        },
        values && { contextValues: values },
      );
      // Somebody else may have made a job of this id by RPC: it must not be shown.
      if (job === undefined || !isTaskOf(job, caller) || job.calls[0]?.id !== call.id) {
        throw new McpError(codes.internal, "The task could not be created", { status: 500 });
      }
      return `{"resultType":"task",${membersOf(job)},${meta}}`;
    },
    async get(taskId, peer) {
      return `{"resultType":"complete",${await endedMembersOf(await own(taskId, peer), peer)},${meta}}`;
    },
    async cancel(taskId, peer) {
      const job = await own(taskId, peer);
      // A job may wait while its call runs: calling that cancelled would be a lie.
      if (await hasBegun(job, peer)) return;
      try {
        await peer.clients.jobs.cancelJob({ id: job.id }, peer.values && { contextValues: peer.values });
      } catch (error) {
        // What has begun goes on.
        if (!(error instanceof ConnectError && error.code === Code.FailedPrecondition)) throw error;
      }
    },
    async check(taskId, peer) {
      await own(taskId, peer);
    },
    async status(taskId, peer) {
      const job = await find(taskId, peer);
      return job && { state: job.state, text: await endedMembersOf(job, peer) };
    },
  };
}

/** An answer, undefined where the services know nothing of what was asked. */
async function known<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.NotFound) return undefined;
    throw error;
  }
}

/** A job is a task of the caller when the door made it, from a call of the same caller. */
function isTaskOf({ source, context }: Job, caller: Caller): boolean {
  return source === caller.name && isKeyed(context);
}

/** As hard to guess as the key; of two callers with the same key it is another one. */
function taskIdOf({ tenant, name }: Caller, key: string): string {
  return hash("sha256", JSON.stringify(["task", tenant, name, key]), "base64url");
}

function isoTime(time: Timestamp | undefined): string {
  return time === undefined ? new Date(0).toISOString() : timestampDate(time).toISOString();
}
