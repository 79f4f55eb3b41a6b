import { create, fromBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { JobSchema, JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { createBinaryWriter } from "../protobuf/binary-writer.ts";
import type { Sealer } from "../store/sealer.ts";
import { restoredToken } from "../store/sqlite-schema.ts";
import type { JobRecord } from "./job-queue.ts";
import { claimedState } from "./job-state.ts";
import type { JobRow, NewJob } from "./job-table.ts";

/** The stored fields of a record besides its message. */
type StoredFields = Omit<JobRecord, "job">;

/**
 * Whatever was written must be readable: a value in a result may be nested more deeply than protobuf reads by default.
 */
const readOptions = { recursionLimit: 100_000 };

/** The error of a dead letter that was an open job in a backup. */
const restoredError = "the store was restored from a backup: this job may have been executed since";

/** Encodes and decodes the stored form of a job. */
export interface JobCodec {
  /** Encodes a record as text. */
  text(record: JobRecord): string;
  /** Decodes a row. Never throws. */
  read(row: JobRow): ReadRow;
  /** Returns the columns of a new record. */
  newJob(record: JobRecord): NewJob;
}

/**
 * Creates the codec. The record's text is sealed for its tenant and id; columns by which a table finds jobs stay plain.
 */
export function createJobCodec(sealer: Sealer): JobCodec {
  const writeBinary = createBinaryWriter();
  const text = (record: JobRecord): string => {
    const { job, ...fields } = record;
    const message = writeBinary(JobSchema, job, 0);
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

/**
 * Encodes the plain text of a record. Unsealed: JSON with the message in base64. Sealed: JSON, a line break and the
 * message, because sealing applies base64 to the whole.
 */
function plainText(fields: StoredFields, message: Buffer): string {
  return JSON.stringify({ job: message.toString("base64"), ...fields });
}

function parseText(text: Buffer): { fields: Partial<StoredFields>; message: Uint8Array } {
  const end = text.indexOf("\n");
  const head = text.toString("utf8", 0, end < 0 ? undefined : end);
  const { job, ...fields } = JSON.parse(head) as Partial<StoredFields> & { job?: string };
  return { fields, message: job === undefined && end >= 0 ? text.subarray(end + 1) : Buffer.from(job ?? "", "base64") };
}

/**
 * Decodes the record of a row. State and times come from the row: transitions need not rewrite the text, and times are
 * the server's. Throws if the text is unreadable.
 */
function recordFromRow(row: JobRow, sealer: Sealer): JobRecord {
  const { fields, message } = parseText(sealer.openText(row.record, rowOf(row.tenant, row.id)));
  const job = fromBinary(JobSchema, message, readOptions);
  if (job.id !== row.id) throw new Error(`the record belongs to another job`);
  if (row.state === JobState.DEAD && row.token === restoredToken) job.error = restoredError;
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

/** A decoded row. */
export interface ReadRow {
  /** The record. If the row is unreadable, a record without calls whose error gives the reason. */
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

/** Returns the row of a job that was inserted under a token, as the table holds it. */
export function claimedRow({ id, tenant, state, record }: NewJob, token: string): JobRow {
  return { id, tenant, state: claimedState(state), record, token, held: true, deaths: 0, createdAt: 0, changedAt: 0 };
}
