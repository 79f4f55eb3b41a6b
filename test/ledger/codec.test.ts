import { randomBytes } from "node:crypto";
import { equals } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { createEntryCodec, type EntryCodec, eraseTexts } from "../../src/ledger/codec.ts";
import type { StoredEntry } from "../../src/ledger/ledger-store.ts";
import type { Intent } from "../../src/ledger/ledger.ts";
import { createSealer, plainSealer, type Sealer } from "../../src/store/sealer.ts";
import { aResult, anIntent } from "./samples.ts";

const [one, two] = ["one", "two"].map((id) => createSealer([{ id, secret: randomBytes(32) }])) as [Sealer, Sealer];
const [running, done, uncertain] = [0, 1, 2];
const lost = "It is not known whether this request took effect. Do not repeat it; check first.";

/** Returns the content that a driver stores of an intent, and of its result if there is one. */
function storedBy(codec: EntryCodec, intent: Intent, change: Partial<StoredEntry> = {}): StoredEntry {
  const { key, digest, intent: text } = codec.intent(intent);
  return { key, digest, intent: text, state: running, result: undefined, createdAt: 5, endsAt: 7, ...change };
}

describe.each<[string, Sealer]>([
  ["plain", plainSealer],
  ["sealed", one],
])("a %s entry", (_name, sealer) => {
  const codec = createEntryCodec(sealer);

  test("is read as it was written, while it runs and with its answer", () => {
    const intent = anIntent({ effect: "idempotent", runId: "run-1" });
    expect(codec.entry(storedBy(codec, intent))).toEqual({
      ...intent,
      state: "running",
      result: undefined,
      createdAt: 5,
      endsAt: 7,
    });
    const result = aResult("answer");
    const { state, bytes } = codec.result(intent.key, result);
    expect(state).toBe(done);
    const entry = codec.entry(storedBy(codec, intent, { state, result: bytes }));
    expect(entry).toMatchObject({ ...intent, state: "done" });
    expect(equals(ToolResultSchema, entry.result!, result)).toBe(true);
    const other = codec.result(intent.key, aResult("?", Outcome.UNCERTAIN));
    expect(other.state).toBe(uncertain);
    expect(codec.entry(storedBy(codec, intent, { state: other.state, result: other.bytes })).state).toBe("uncertain");
  });

  test("that is running has no answer, even if one of an earlier run remains", () => {
    const intent = anIntent();
    const { bytes } = codec.result(intent.key, aResult("of an earlier run"));
    expect(codec.entry(storedBy(codec, intent, { result: bytes })).result).toBeUndefined();
  });

  test("with a truncated answer is uncertain, with the known parts of its call, and says so to callers", () => {
    const intent = anIntent();
    const entry = codec.entry(storedBy(codec, intent, { state: done, result: new Uint8Array([255, 255]) }));
    expect(entry).toMatchObject({ ...intent, state: "uncertain", unreadable: expect.any(String) as string });
    expect(entry.result).toMatchObject({
      callId: intent.callId,
      name: intent.tool,
      outcome: Outcome.UNCERTAIN,
      output: lost,
      error: { message: lost },
    });
  });

  test("with a truncated intent may have changed something, and counts as a write without an owner", () => {
    const intent = anIntent({ effect: "read" });
    const known = { ...storedBy(codec, intent), intent: "{" };
    const unknown = {
      key: intent.key,
      callId: "",
      tool: "",
      effect: "write",
      argumentsJson: "{}",
      scope: { tenant: "", source: "", conversationId: "", sessionId: "", runId: "" },
      timeoutMs: 0,
      createdAt: 5,
      endsAt: 7,
    };
    const entry = codec.entry(known);
    expect(entry).toMatchObject({ ...unknown, state: "running", result: undefined });
    expect(entry.unreadable).toContain("JSON");
    const { bytes } = codec.result(intent.key, aResult());
    expect(codec.entry({ ...known, state: done, result: bytes })).toMatchObject({
      ...unknown,
      state: "uncertain",
      result: { outcome: Outcome.UNCERTAIN },
    });
  });

  test("is distinguished from one with other arguments", () => {
    const intent = anIntent();
    const stored = storedBy(codec, intent);
    expect(codec.isSameContent(intent, stored)).toBe(true);
    expect(codec.isSameContent({ ...intent, digest: "other" }, stored)).toBe(false);
    expect(codec.isSameContent({ ...intent, digest: "other" }, { ...stored, intent: "{" })).toBeUndefined();
  });

  test("in a state that this version does not know is uncertain", () => {
    expect(codec.entry(storedBy(codec, anIntent(), { state: 9 })).state).toBe("uncertain");
  });
});

test("an entry of an earlier version without a deadline or arguments has none", () => {
  const codec = createEntryCodec(plainSealer);
  const { callId, tool, effect, scope } = anIntent();
  const stored = { ...storedBy(codec, anIntent()), intent: JSON.stringify({ callId, tool, effect, scope }) };
  expect(codec.entry(stored)).toMatchObject({ callId, tool, effect, scope, timeoutMs: 0, argumentsJson: "{}" });
});

test("a sealed entry contains the plain digest of its arguments, and opens under no other key, row or field", () => {
  const [codec, other] = [createEntryCodec(one), createEntryCodec(two)];
  const intent = anIntent();
  const stored = storedBy(codec, intent);
  expect(stored.digest).not.toContain(intent.digest);
  expect(codec.entry(stored).digest).toBe(intent.digest);
  expect(other.entry(stored)).toMatchObject({ tool: intent.tool, argumentsJson: "{}" });
  expect(other.entry(stored).unreadable).toContain('the key "one"');
  expect(other.isSameContent(intent, stored)).toBeUndefined();
  expect(codec.entry({ ...stored, key: "another" }).unreadable).toContain("does not open");
  const { bytes } = codec.result("another", aResult());
  expect(codec.entry({ ...stored, state: done, result: bytes }).unreadable).toContain("does not open");
});

test("the columns by which entries are found and erased are specific to the tenant", () => {
  const codec = createEntryCodec(plainSealer);
  const intent = anIntent({ conversationId: "c", runId: "r", tenant: "t" });
  expect(codec.intent(intent)).toMatchObject({
    key: intent.key,
    conversation: '["t","c"]',
    run: '["t","r"]',
    source: "genesys",
    isWrite: true,
    timeoutMs: 100,
  });
  expect(codec.intent(anIntent({ conversationId: "", effect: "idempotent" }))).toMatchObject({
    conversation: "",
    run: "",
    isWrite: false,
  });
  expect(eraseTexts({ tenant: "t", conversationId: "c", runId: "r", source: "s" })).toEqual({
    conversation: '["t","c"]',
    run: '["t","r"]',
    source: "s",
  });
  expect(eraseTexts({ tenant: "t", runId: "r" })).toEqual({ conversation: "", run: '["t","r"]', source: "" });
  expect(eraseTexts({ tenant: "t", conversationId: "c" })).toEqual({ conversation: '["t","c"]', run: "", source: "" });
  expect(eraseTexts({ tenant: "t", source: "s" })).toBeUndefined();
});
