import { hash } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { type Job, JobState, type SubmitJobRequest } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome, type ToolCall, type ToolResult, ToolResultSchema } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../../auth/caller.ts";
import { modelError } from "../../errors.ts";
import { canonicalJson } from "../../json/canonical.ts";
import type { ToolCatalogs } from "../tool-catalog.ts";
import { isKeyed, keyedContext } from "../tool-call.ts";
import { callIdText, callResultText, dependsOnOutputSchema } from "./call-result.ts";
import type { KeyedCall } from "./execute.ts";
import type { Peer } from "./peer.ts";
import { codes, McpError } from "./protocol.ts";

/** Calls that became durable jobs, presented as MCP tasks. */
export interface Tasks {
  /**
   * Creates a task for a running call. The same call of the same caller gets the same task, and another call under its
   * key is a conflict. Returns the JSON text of the result.
   */
  start(keyed: KeyedCall, peer: Peer): Promise<string>;
  /** Returns the JSON text of the result of `tasks/get`. Throws an McpError if the task is not the caller's. */
  get(taskId: unknown, peer: Peer): Promise<string>;
  /** Cancels a task that has not started. Any other continues. */
  cancel(taskId: unknown, peer: Peer): Promise<void>;
  /** Throws an McpError if a task is not the caller's. */
  check(taskId: unknown, peer: Peer): Promise<void>;
  /** Returns the state of a task and its JSON text; undefined if it is not the caller's. */
  status(taskId: string, peer: Peer): Promise<{ state: JobState; text: string } | undefined>;
}

/** Settings and dependencies of tasks. */
export interface TasksOptions {
  readonly catalogs: ToolCatalogs;
  /** How long a task is kept, in milliseconds. */
  readonly ttlMs: number;
  /** Interval at which a client should poll, in milliseconds. */
  readonly pollIntervalMs: number;
  /** Maximum output in bytes. */
  readonly maxOutput: number;
  /** JSON text that ends the `_meta` of a result, starting with a comma. */
  readonly metaTail: string;
}

const statuses: ReadonlyMap<JobState, string> = new Map([
  [JobState.DONE, "completed"],
  [JobState.DEAD, "failed"],
  [JobState.CANCELLED, "cancelled"],
]);

/** Creates tasks that are backed by jobs: they survive restarts, and every replica can answer for them. */
export function createTasks({ catalogs, ttlMs, pollIntervalMs, maxOutput, metaTail }: TasksOptions): Tasks {
  const metaOf = ({ calls }: Job): string => `"_meta":{${callIdText(calls[0]?.id ?? "")}${metaTail}}`;

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

  /** Returns the members of a task as JSON text, without braces. */
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

  /** Returns the members of a task, including its result if it has ended. */
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

  /** Returns the result fitted to the caller's limit. The job's own result has the size of any output. */
  async function fittedResult({ results, calls, context }: Job, { clients }: Peer): Promise<ToolResult | undefined> {
    const [result] = results;
    if (result === undefined || Buffer.byteLength(result.output) <= maxOutput) return result;
    const found = await known(
      clients.executor.getCall({ callId: calls[0]?.id ?? "", context: context ?? keyedContext("") }),
    );
    return found?.result ?? result;
  }

  /** Reports whether a task has started: its call is running, or has left its intent. */
  async function hasBegun({ calls, context, state }: Job, { clients }: Peer): Promise<boolean> {
    if (state !== JobState.ACCEPTED) return true;
    const request = { callId: calls[0]?.id ?? "", context: context ?? keyedContext("") };
    return (await known(clients.executor.getCall(request))) !== undefined;
  }

  /** Returns the JSON text of the result of a call whose key was used for another one. */
  function conflictText({ id, name }: ToolCall): string {
    const output = modelError("conflict");
    const result = create(ToolResultSchema, { callId: id, name, outcome: Outcome.CONFLICT, output });
    return callResultText(result, { era: "modern", hasOutputSchema: false, metaTail });
  }

  return {
    async start({ call, context }, peer) {
      const { caller, clients, values } = peer;
      const request: SubmitJobRequest = {
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
      };
      const submitted = await known(clients.jobs.submitJob(request, values && { contextValues: values }));
      // The task of the same key in another conversation, or of other arguments.
      const job = submitted === undefined ? await find(request.job?.id, peer) : submitted.job;
      // The id may belong to a job that somebody created by RPC, which must not be revealed.
      if (job === undefined || !isTaskOf(job, caller) || job.calls[0]?.id !== call.id) {
        throw new McpError(codes.internal, "The task could not be created", { status: 500 });
      }
      if (submitted === undefined && !isSameCall(job.calls[0], call)) return conflictText(call);
      return `{"resultType":"task",${membersOf(job)},${metaOf(job)}}`;
    },
    async get(taskId, peer) {
      const job = await own(taskId, peer);
      return `{"resultType":"complete",${await endedMembersOf(job, peer)},${metaOf(job)}}`;
    },
    async cancel(taskId, peer) {
      const job = await own(taskId, peer);
      // A job may be waiting although its call is already running. Reporting that as cancelled would be wrong.
      if (await hasBegun(job, peer)) return;
      try {
        await peer.clients.jobs.cancelJob({ id: job.id }, peer.values && { contextValues: peer.values });
      } catch (error) {
        // A task that has started continues.
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

/** Resolves with an answer; undefined if the services report that the object does not exist, or exists already. */
async function known<Answer>(answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ConnectError && (error.code === Code.NotFound || error.code === Code.AlreadyExists)) return;
    throw error;
  }
}

/** Reports whether a job's call is the same one: it has the id, the tool and the arguments. */
function isSameCall(stored: ToolCall | undefined, { name, input }: ToolCall): boolean {
  const text = input.case === "arguments" ? canonicalJson(input.value) : input.value;
  return stored?.name === name && stored.input.value === text;
}

/** Reports whether a job is a task of the caller: it was created by MCP from a call of the same caller. */
function isTaskOf({ source, context }: Job, caller: Caller): boolean {
  return source === caller.name && isKeyed(context);
}

/** Returns an id that is as hard to guess as the key, and differs between two callers with the same key. */
function taskIdOf({ tenant, name }: Caller, key: string): string {
  return hash("sha256", JSON.stringify(["task", tenant, name, key]), "base64url");
}

function isoTime(time: Timestamp | undefined): string {
  return time === undefined ? new Date(0).toISOString() : timestampDate(time).toISOString();
}
