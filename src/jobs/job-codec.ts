import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { JobSchema } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobRecord } from "./job-queue.ts";
import { claimedState } from "./job-state.ts";
import type { JobRow, NewJob } from "./job-table.ts";

/** The stored form of a record: JSON with the message in base64. */
interface StoredJob extends Omit<JobRecord, "job"> {
  job: string;
}

/** Whatever could be written can be read: a value of a result nests deeper than protobuf reads by default. */
const readOptions = { recursionLimit: 100_000 };

/** The text of a record as drivers store it. */
export function textFromRecord(record: JobRecord): string {
  const stored: StoredJob = { ...record, job: Buffer.from(toBinary(JobSchema, record.job)).toString("base64") };
  return JSON.stringify(stored);
}

/**
 * The record of a row. Its state and times are the row's: transitions need not rewrite the text, and times are the
 * server's. Throws where the text cannot be read.
 */
function recordFromRow(row: JobRow): JobRecord {
  const stored = JSON.parse(row.record) as Partial<StoredJob>;
  const job = fromBinary(JobSchema, Buffer.from(stored.job ?? "", "base64"), readOptions);
  if (job.id !== row.id) throw new Error(`the record is of another job`);
  return {
    job: stamped(job, row),
    tenant: row.tenant,
    caller: stored.caller ?? "",
    delivery: stored.delivery ?? "",
    deliveryMs: stored.deliveryMs ?? 0,
    failures: stored.failures ?? 0,
    traceparent: stored.traceparent ?? "",
  };
}

/** A row as it can be worked with. */
export interface ReadRow {
  /** Of a row that cannot be read, a record without calls whose error gives the reason. */
  readonly record: JobRecord;
  readonly readable: boolean;
}

/** Reads a row. Never throws. */
export function readRow(row: JobRow): ReadRow {
  try {
    return { record: recordFromRow(row), readable: true };
  } catch (cause) {
    const error = `the stored job cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`;
    const job = stamped(create(JobSchema, { id: row.id, error }), row);
    const record = { job, tenant: row.tenant, caller: "", delivery: "", deliveryMs: 0, failures: 0, traceparent: "" };
    return { record, readable: false };
  }
}

function stamped(job: JobRecord["job"], { state, createdAt, changedAt }: JobRow): JobRecord["job"] {
  job.state = state;
  job.createTime = timestampFromMs(createdAt);
  job.updateTime = timestampFromMs(changedAt);
  return job;
}

/** What a table stores of a new record. */
export function newJobFrom(record: JobRecord): NewJob {
  const { id, source, state, context } = record.job;
  const { conversationId = "", runId = "" } = context ?? {};
  return { id, tenant: record.tenant, source, conversationId, runId, state, record: textFromRecord(record) };
}

/** The row of a job that was inserted under a token, as the table holds it. */
export function heldRow({ id, tenant, state, record }: NewJob, token: string): JobRow {
  return { id, tenant, state: claimedState(state), record, token, held: true, deaths: 0, createdAt: 0, changedAt: 0 };
}
