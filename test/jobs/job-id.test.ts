import { create, type MessageInitShape } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JobSchema, type Job } from "../../gen/jackfield/v1/jobs_pb.ts";
import { ToolCallSchema, type ToolCall } from "../../gen/jackfield/v1/tool_pb.ts";
import { canonicalArguments, contentDigest, derivedId, isDerivedId, withArgumentsText } from "../../src/jobs/job-id.ts";
import { aCall } from "../support/executor.ts";
import { slowArguments } from "../support/count-turns.ts";
import { testRequirement } from "../support/test-requirement.ts";

type Input = ToolCall["input"];

const text = (value: string) => ({ case: "argumentsJson" as const, value });
const base = { source: "genesys", context: { runId: "r" } };
const job = (input: Input, change: MessageInitShape<typeof JobSchema> = {}): Job => {
  const calls = [create(ToolCallSchema, { id: "1", name: "n", input })];
  return create(JobSchema, { ...base, calls, ...change } as MessageInitShape<typeof JobSchema>);
};

async function idFrom(tenant: string, content: Pick<Job, "source" | "context" | "calls">): Promise<string> {
  return derivedId(contentDigest(tenant, content, await canonicalArguments(content.calls)));
}

describe("the derived id of a job", () => {
  testRequirement("001.11", "is the same for the same batch in other notation", async () => {
    const id = await idFrom("t", job(text('{"k":"a","z":1,"a":{"x":1,"y":2},"s":"é"}')));
    const others = [
      text('{ "z": 1.0, "s": "\\u00e9", "a": {"y":2,"x":1}, "k": "a" }'),
      { case: "arguments", value: { a: { y: 2, x: 1 }, s: "é", k: "a", z: 1 } } as const,
    ];
    expect(await Promise.all(others.map((input) => idFrom("t", job(input))))).toEqual([id, id]);
    expect(isDerivedId(id)).toBe(true);
  });

  test("differs with tenant, source, context, call id, tool and every argument", async () => {
    const first = job(text('{"a":1}'));
    const [call] = first.calls;
    const variants = [
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
    ];
    const ids = await Promise.all([...variants.map((one) => idFrom("t", one)), idFrom("u", first)]);
    expect(new Set(ids).size).toBe(variants.length + 1);
  });

  test("does not depend on the order of keys, whatever the arguments are", async () => {
    await fc.assert(
      fc.asyncProperty(fc.dictionary(fc.string(), fc.jsonValue()), async (value) => {
        const turned = Object.fromEntries(Object.entries(value).toReversed());
        const id = await idFrom("t", job(text(JSON.stringify(value))));
        expect(await idFrom("t", job(text(JSON.stringify(turned, null, 2))))).toBe(id);
      }),
    );
  });

  test("treats missing arguments, an empty text and {} as equal, and a missing context as an empty one", async () => {
    const same = [text("{}"), text(""), { case: undefined } as const, { case: "arguments", value: {} } as const];
    expect(new Set(await Promise.all(same.map((input) => idFrom("t", job(input))))).size).toBe(1);
    const plain = job(text("{}"));
    const none = { source: plain.source, calls: plain.calls, context: undefined };
    const empty = create(JobSchema, { source: plain.source, calls: plain.calls, context: {} });
    expect(await idFrom("t", none)).toBe(await idFrom("t", empty));
  });

  test("is stable, so that a batch that is sent again after an update is recognised", async () => {
    // DANGER: if this text changes, stored jobs are not found and run again.
    expect(await idFrom("t", job(text('{"b":[1,{"d":1e999}],"a":"é"}')))).toBe(
      "batch.Cgs6j6GvE-lhH4Ns_dm_WwlYc3VXlg2t7g-oEStDPo0",
    );
  });

  test("leaves turns to other requests between calls that take long", async () => {
    using slow = slowArguments(3);
    const calls = Array.from({ length: 4 }, () => aCall(slow.args));
    await canonicalArguments(calls);
    // Each is read twice: in which order its keys are, and as text.
    expect(slow.turns.length).toBe(8);
    expect(new Set([...slow.turns, slow.turn]).size).toBe(5);
  });

  test("exists for text of any nesting", async () => {
    const deep = "[".repeat(400_000) + "]".repeat(400_000);
    expect(await idFrom("t", job(text(`{"a":${deep}}`)))).not.toBe(await idFrom("t", job(text(`{"b":${deep}}`))));
  });
});

describe("arguments are stored as text", () => {
  test("with the same meaning, and invalid if the object is (hazard 19)", async () => {
    const stored = async (value: unknown): Promise<unknown> => {
      const { calls } = job({ case: "arguments", value: value as Record<string, never> });
      const [canonical] = await canonicalArguments(calls);
      return withArgumentsText(calls[0]!, canonical!).input;
    };
    expect(await stored({ b: [1, null, "x"], a: { d: true } })).toEqual(text('{"a":{"d":true},"b":[1,null,"x"]}'));
    const { value } = (await stored({ a: Number.POSITIVE_INFINITY, b: Number.NaN })) as { value: string };
    expect(JSON.parse(value)).toEqual({ a: Number.POSITIVE_INFINITY, b: Number.POSITIVE_INFINITY });
    expect(await stored({ a: "\ud800" })).toEqual(text('{"a":"\\ud800"}'));
  });

  test("unchanged if they are text", () => {
    const { calls } = job(text('{ "a" : 1e999 }'));
    expect(withArgumentsText(calls[0]!, "{}")).toBe(calls[0]);
  });
});
