import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { JobSchema } from "../../gen/jackfield/v1/jobs_pb.ts";
import type { JobRecord } from "./job-queue.ts";

/** A job record as plain JSON, the way drivers store it: the message in base64, the rest as it is. */
export interface StoredJob extends Omit<JobRecord, "job"> {
  job: string;
}

/** What a driver stores of a record. */
export function storedFromRecord(record: JobRecord): StoredJob {
  return { ...record, job: Buffer.from(toBinary(JobSchema, record.job)).toString("base64") };
}

/** The record that a driver stored. */
export function recordFromStored(stored: StoredJob): JobRecord {
  return { ...stored, job: fromBinary(JobSchema, Buffer.from(stored.job, "base64")) };
}
