import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { JobSchema } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { Sealer } from "../store/sealer.ts";
import type { JobRecord } from "./job-queue.ts";
import { claimedState } from "./job-state.ts";
import type { JobRow, NewJob } from "./job-table.ts";

/** What is stored of a record beside its message. */
type StoredFields = Omit<JobRecord, "job">;

/** Whatever could be written can be read: a value of a result nests deeper than protobuf reads by default. */
const readOptions = { recursionLimit: 100_000 };

/** Writes and reads what drivers store of a job. */
export interface JobCodec {
  /** The text of a record. */
  text(record: JobRecord): string;
  /** Reads a row. Never throws. */
  read(row: JobRow): ReadRow;
  /** What a table stores of a new record. */
  newJob(record: JobRecord): NewJob;
}

/** Makes the codec. The text of a record is sealed for its tenant and id; what a table finds jobs by stays plain. */
export function createJobCodec(sealer: Sealer): JobCodec {
  const text = (record: JobRecord): string => {
    const { job, ...fields } = record;
    const message = toBinary(JobSchema, job);
    if (!sealer.seals) return plainText(fields, message);
    return sealer.sealText(
      Buffer.concat([Buffer.from(`${JSON.stringify(fields)}\n`), message]),
      rowOf(record.tenant, job.id),
    );
  };
  return {
    text,
    read: (row) => readRow(row, sealer),
    newJob: (record) => newJobFrom(record, text(record)),
  };
}

function rowOf(tenant: string, id: string): string {
  return JSON.stringify(["job", tenant, id]);
}

/** Unsealed, JSON with the message in base64. Sealed, JSON, a line break and the message: base64 comes once, around it all. */
function plainText(fields: StoredFields, message: Uint8Array): string {
  return JSON.stringify({ job: Buffer.from(message).toString("base64"), ...fields });
}

function parseText(text: Buffer): { fields: Partial<StoredFields>; message: Uint8Array } {
  const end = text.indexOf("\n");
  const head = text.toString("utf8", 0, end < 0 ? undefined : end);
  const { job, ...fields } = JSON.parse(head) as Partial<StoredFields> & { job?: string };
  return { fields, message: job === undefined && end >= 0 ? text.subarray(end + 1) : Buffer.from(job ?? "", "base64") };
}

/**
 * The record of a row. Its state and times are the row's: transitions need not rewrite the text, and times are the
 * server's. Throws where the text cannot be read.
 */
function recordFromRow(row: JobRow, sealer: Sealer): JobRecord {
  const { fields, message } = parseText(sealer.openText(row.record, rowOf(row.tenant, row.id)));
  const job = fromBinary(JobSchema, message, readOptions);
  if (job.id !== row.id) throw new Error(`the record is of another job`);
  return {
    job: stamped(job, row),
    tenant: row.tenant,
    caller: fields.caller ?? "",
    ...(fields.sanitize !== undefined && { sanitize: fields.sanitize }),
    delivery: fields.delivery ?? "",
    deliveryMs: fields.deliveryMs ?? 0,
    failures: fields.failures ?? 0,
    traceparent: fields.traceparent ?? "",
  };
}

/** A row as it can be worked with. */
export interface ReadRow {
  /** Of a row that cannot be read, a record without calls whose error gives the reason. */
  readonly record: JobRecord;
  readonly readable: boolean;
}

function readRow(row: JobRow, sealer: Sealer): ReadRow {
  try {
    return { record: recordFromRow(row, sealer), readable: true };
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

function newJobFrom(record: JobRecord, text: string): NewJob {
  const { id, source, state, context } = record.job;
  const { conversationId = "", runId = "" } = context ?? {};
  return { id, tenant: record.tenant, source, conversationId, runId, state, record: text };
}

/** The row of a job that was inserted under a token, as the table holds it. */
export function heldRow({ id, tenant, state, record }: NewJob, token: string): JobRow {
  return { id, tenant, state: claimedState(state), record, token, held: true, deaths: 0, createdAt: 0, changedAt: 0 };
}
