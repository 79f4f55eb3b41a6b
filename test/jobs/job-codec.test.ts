import { randomBytes } from "node:crypto";
import { create, equals, fromJson, type JsonValue } from "@bufbuild/protobuf";
import { timestampFromMs, ValueSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, test } from "vitest";
import { JobSchema, JobState } from "../../gen/jackfield/v1/jobs_pb.ts";
import { ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { createJobCodec, claimedRow, type JobCodec } from "../../src/jobs/job-codec.ts";
import type { JobRecord } from "../../src/jobs/job-queue.ts";
import type { JobRow } from "../../src/jobs/job-table.ts";
import { createSealer, plainSealer, type Sealer } from "../../src/store/sealer.ts";
import { aRecord } from "./samples.ts";

const sealed = createSealer([{ id: "one", secret: randomBytes(32) }]);

/** Returns the row of a record, as a table returns it. */
function rowOf(codec: JobCodec, record: JobRecord, change: Partial<JobRow> = {}): JobRow {
  return { ...claimedRow(codec.newJob(record), "token"), createdAt: 5, changedAt: 7, ...change };
}

describe.each<[string, Sealer]>([
  ["plain", plainSealer],
  ["sealed", sealed],
])("a %s record", (_name, sealer) => {
  const codec = createJobCodec(sealer);

  test("is read as it was written, with the state and the times of its row", () => {
    const record = aRecord({
      tenant: "t",
      sanitize: "strict",
      delivery: "cognigy",
      deliveryMs: 3,
      failures: 2,
      traceparent: "00-1-2-01",
    });
    const { record: read, readable } = codec.read(rowOf(codec, record, { state: JobState.DELIVERING }));
    expect(readable).toBe(true);
    expect({ ...read, job: 0 }).toEqual({ ...record, job: 0 });
    const job = create(JobSchema, {
      ...record.job,
      state: JobState.DELIVERING,
      createTime: timestampFromMs(5),
      updateTime: timestampFromMs(7),
    });
    expect(equals(JobSchema, read.job, job)).toBe(true);
  });

  test("with another job's id is not readable", () => {
    const record = aRecord({ id: "mine" });
    const row = rowOf(codec, record, { id: "yours" });
    const reason = sealer.seals ? 'it does not open with the key "one"' : "the record belongs to another job";
    const { record: read, readable } = codec.read(row);
    expect(readable).toBe(false);
    expect(read.job.error).toContain(`the stored job cannot be read: ${reason}`);
  });

  test("that is truncated is a job without calls whose error gives the reason", () => {
    const { record, readable } = codec.read(rowOf(codec, aRecord({ id: "torn", tenant: "t" }), { record: "{" }));
    expect(readable).toBe(false);
    expect({ ...record, job: 0 }).toEqual({
      job: 0,
      tenant: "t",
      caller: "",
      delivery: "",
      deliveryMs: 0,
      failures: 0,
      traceparent: "",
    });
    expect(record.job).toMatchObject({
      id: "torn",
      calls: [],
      state: JobState.EXECUTING,
      createTime: timestampFromMs(5),
      updateTime: timestampFromMs(7),
    });
    expect(record.job.error).toMatch(/^the stored job cannot be read: .+JSON/);
  });
});

test("a record of an earlier version with fewer fields has empty ones", () => {
  const codec = createJobCodec(plainSealer);
  const record = aRecord({ id: "early" });
  const { job } = JSON.parse(codec.text(record)) as { job: string };
  const { record: read, readable } = codec.read(rowOf(codec, record, { record: JSON.stringify({ job }) }));
  expect(readable).toBe(true);
  expect({ ...read, job: 0 }).toEqual({
    job: 0,
    tenant: "default",
    caller: "",
    delivery: "",
    deliveryMs: 0,
    failures: 0,
    traceparent: "",
  });
  expect("sanitize" in read).toBe(false);
});

test("columns by which a table finds jobs stay plain beside a sealed record", () => {
  const record = aRecord({ id: "j", tenant: "t", context: { runId: "r", conversationId: "c" } });
  const job = createJobCodec(sealed).newJob(record);
  expect(job).toEqual({
    id: "j",
    tenant: "t",
    source: "genesys",
    conversationId: "c",
    runId: "r",
    state: JobState.ACCEPTED,
    record: expect.stringMatching(/^sealed\.1\.one\./) as string,
  });
  delete record.job.context;
  expect(createJobCodec(sealed).newJob(record)).toMatchObject({ conversationId: "", runId: "" });
});

test("a job that was inserted as held is EXECUTING under its token", () => {
  const job = createJobCodec(plainSealer).newJob(aRecord({ id: "j", tenant: "t" }));
  expect(claimedRow(job, "a token")).toEqual({
    id: "j",
    tenant: "t",
    state: JobState.EXECUTING,
    record: job.record,
    token: "a token",
    held: true,
    deaths: 0,
    createdAt: 0,
    changedAt: 0,
  });
});

test("a result with the deepest accepted nesting can be read back", () => {
  const codec = createJobCodec(plainSealer);
  const record = aRecord();
  let value: JsonValue = true;
  for (let depth = 0; depth < 500; depth += 1) value = [value];
  record.job.results = [
    create(ToolResultSchema, { callId: "call-1", value: fromJson(ValueSchema, value, { recursionLimit: 1_000 }) }),
  ];
  const { record: read, readable } = codec.read(rowOf(codec, record));
  expect(readable).toBe(true);
  expect(read.job.results).toHaveLength(1);
});
