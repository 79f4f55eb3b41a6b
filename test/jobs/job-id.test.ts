import { create, type MessageInitShape } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JobSchema, type Job } from "../../gen/jackfield/v1/jobs_pb.ts";
import { ToolCallSchema, type ToolCall } from "../../gen/jackfield/v1/tool_pb.ts";
import { contentDigest, isDerivedId, jobIdFrom, withArgumentsText } from "../../src/jobs/job-id.ts";
import { testRequirement } from "../support/test-requirement.ts";

type Input = ToolCall["input"];

const text = (value: string) => ({ case: "argumentsJson" as const, value });
const base = { source: "genesys", context: { runId: "r" } };
const job = (input: Input, change: MessageInitShape<typeof JobSchema> = {}): Job => {
  const calls = [create(ToolCallSchema, { id: "1", name: "n", input })];
  return create(JobSchema, { ...base, calls, ...change } as MessageInitShape<typeof JobSchema>);
};

describe("the derived id of a job", () => {
  testRequirement("001.11", "is the same for the same batch in other notation", () => {
    const id = jobIdFrom("t", job(text('{"k":"a","z":1,"a":{"x":1,"y":2},"s":"é"}')));
    const others = [
      text('{ "z": 1.0, "s": "\\u00e9", "a": {"y":2,"x":1}, "k": "a" }'),
      { case: "arguments", value: { a: { y: 2, x: 1 }, s: "é", k: "a", z: 1 } } as const,
    ];
    expect(others.map((input) => jobIdFrom("t", job(input)))).toEqual([id, id]);
    expect(isDerivedId(id)).toBe(true);
  });

  test("differs with tenant, source, context, call id, tool and every argument", () => {
    const first = job(text('{"a":1}'));
    const [call] = first.calls;
    const different = [
      first,
      job(text('{"a":2}')),
      job(text('{"a":"1"}')),
      job(text('{"a":1')),
      job(text('{"a":1}'), { source: "crm" }),
      job(text('{"a":1}'), { context: { runId: "s" } }),
      job(text('{"a":1}'), { context: { runId: "r", conversationId: "c" } }),
      job(text('{"a":1}'), { calls: [{ ...call!, id: "2" }] }),
      job(text('{"a":1}'), { calls: [{ ...call!, name: "m" }] }),
      job(text('{"a":1}'), { calls: [call!, call!] }),
    ].map((one) => jobIdFrom("t", one));
    expect(new Set([...different, jobIdFrom("u", first)]).size).toBe(different.length + 1);
  });

  test("does not depend on the order of keys, whatever the arguments are", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (value) => {
        const turned = Object.fromEntries(Object.entries(value).toReversed());
        const id = contentDigest("t", job(text(JSON.stringify(value))));
        expect(contentDigest("t", job(text(JSON.stringify(turned, null, 2))))).toBe(id);
      }),
    );
  });

  test("treats missing arguments, an empty text and {} as equal, and a missing context as an empty one", () => {
    const same = [text("{}"), text(""), { case: undefined } as const, { case: "arguments", value: {} } as const];
    expect(new Set(same.map((input) => jobIdFrom("t", job(input)))).size).toBe(1);
    const plain = job(text("{}"));
    const none = { source: plain.source, calls: plain.calls, context: undefined };
    const empty = create(JobSchema, { source: plain.source, calls: plain.calls, context: {} });
    expect(jobIdFrom("t", none)).toBe(jobIdFrom("t", empty));
  });

  test("is stable, so that a batch that is sent again after an update is recognised", () => {
    // DANGER: if this text changes, stored jobs are not found and run again.
    expect(jobIdFrom("t", job(text('{"b":[1,{"d":1e999}],"a":"é"}')))).toBe(
      "batch.Cgs6j6GvE-lhH4Ns_dm_WwlYc3VXlg2t7g-oEStDPo0",
    );
  });

  test("exists for text of any nesting", () => {
    const deep = "[".repeat(400_000) + "]".repeat(400_000);
    expect(jobIdFrom("t", job(text(`{"a":${deep}}`)))).not.toBe(jobIdFrom("t", job(text(`{"b":${deep}}`))));
  });
});

describe("arguments are stored as text", () => {
  test("with the same meaning, and invalid if the object is (hazard 19)", () => {
    const stored = (value: unknown): unknown => {
      const [call] = job({ case: "arguments", value: value as Record<string, never> }).calls;
      return withArgumentsText(call!).input;
    };
    expect(stored({ b: [1, null, "x"], a: { d: true } })).toEqual(text('{"a":{"d":true},"b":[1,null,"x"]}'));
    const { value } = stored({ a: Number.POSITIVE_INFINITY, b: Number.NaN }) as { value: string };
    expect(JSON.parse(value)).toEqual({ a: Number.POSITIVE_INFINITY, b: Number.POSITIVE_INFINITY });
    expect(stored({ a: "\ud800" })).toEqual(text('{"a":"\\ud800"}'));
  });

  test("unchanged if they are text", () => {
    const [call] = job(text('{ "a" : 1e999 }')).calls;
    expect(withArgumentsText(call!)).toBe(call);
  });
});
