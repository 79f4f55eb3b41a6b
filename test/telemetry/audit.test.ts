import { createReadStream } from "node:fs";
import { appendFile, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import * as fc from "fast-check";
import { expect, test, vi } from "vitest";
import { createAudit, createExecutionLines } from "../../src/telemetry/audit.ts";
import { verifyAudit } from "../../src/telemetry/audit-chain.ts";
import { fileSink, stderrSink } from "../../src/telemetry/audit-file.ts";
import { createRedactor } from "../../src/telemetry/redact.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { withTelemetry } from "./with-telemetry.ts";

async function folder() {
  const path = await mkdtemp(join(tmpdir(), "jackfield-audit-"));
  return { file: join(path, "deep", "audit.jsonl"), [Symbol.asyncDispose]: () => rm(path, { recursive: true }) };
}

const open = (file: string) =>
  createAudit({ sink: fileSink(file), redactor: createRedactor([]), report: () => undefined });

testRequirement(
  "002.12",
  "the audit log is one JSON line per event with the event's fields, in its own file",
  async () => {
    const run = await withTelemetry({ secrets: ["planted-secret"] });
    const { audit } = run.telemetry;
    audit.write({ event: "conversation_start", conversation_id: "c1", model: "gpt-4o", timestamp: 1_700_000_000 });
    audit.write({
      event: "tool_success",
      conversation_id: "c1",
      tool_name: "get_weather",
      tool_call_id: "t1",
      latency_ms: 12,
    });
    audit.write({
      event: "tool_failure",
      conversation_id: "c1",
      tool_name: "get_weather",
      error: 'the key planted-secret is bad\n{"event":"forged"}',
    });
    await run.telemetry.close();
    const text = await readFile(run.auditFile, "utf8");
    const lines = text
      .trimEnd()
      .split("\n")
      .map((line): Record<string, unknown> => JSON.parse(line));
    expect(lines).toMatchObject([
      { event: "conversation_start", conversation_id: "c1", model: "gpt-4o", timestamp: 1_700_000_000 },
      { event: "tool_success", tool_call_id: "t1", latency_ms: 12 },
      { event: "tool_failure", error: 'the key [secret] is bad\n{"event":"forged"}' },
    ]);
    for (const line of lines) expect(new Date(String(line["time"])).toISOString()).toBe(line["time"]);
    expect(run.lines.join("")).not.toContain("conversation_start");
    expect(text).not.toContain("planted-secret");
    await run[Symbol.asyncDispose]();
  },
);

test("the chain continues across restarts, even after a truncated last line", async () => {
  await using at = await folder();
  for (const id of ["a", "b"]) {
    const audit = open(at.file);
    audit.write({ event: "tool_execution", tool_call_id: id });
    await audit.close();
  }
  await appendFile(at.file, '{"time":"2026-');
  const audit = open(at.file);
  audit.write({ event: "tool_execution", tool_call_id: "c" });
  await audit.close();
  expect(await verifyAudit(createReadStream(at.file))).toEqual({ ok: true, lines: 4 });
  expect(await readFile(at.file, "utf8")).toContain('"event":"audit_recovered","torn_bytes":14');
});

const check = (changed: string[]) =>
  verifyAudit(
    (async function* () {
      yield Buffer.from(`${changed.join("\n")}\n`);
    })(),
  );

test("any line that is changed, added or removed is detected, to its batch", async () => {
  await using at = await folder();
  const batches = [7, 1, 8, 4];
  for (const [batch, lines] of batches.entries()) {
    const audit = open(at.file);
    for (let index = 0; index < lines; index += 1)
      audit.write({ event: "tool_execution", tool_call_id: `call ${batch} ${index}`, odd: "\u2028\u{1f600}" });
    await audit.close();
  }
  const lines = (await readFile(at.file, "utf8")).trimEnd().split("\n");
  expect(await check(lines)).toEqual({ ok: true, lines: 20 });
  const batchOf = (line: number) => {
    let to = 0;
    for (const length of batches) if (line < (to += length)) return { from: to - length, to };
    throw new Error("no such line");
  };
  await fc.assert(
    fc.asyncProperty(fc.nat(18), fc.constantFrom("change", "remove", "repeat", "swap"), async (at, how) => {
      const line = lines[at]!;
      const changed =
        how === "change"
          ? lines.with(at, line.replace("call", "Call"))
          : how === "remove"
            ? lines.toSpliced(at, 1)
            : how === "repeat"
              ? lines.toSpliced(at, 0, line)
              : lines.with(at, lines[at + 1]!).with(at + 1, line);
      const { ok, firstBad } = await check(changed);
      expect(ok).toBe(false);
      const { from } = batchOf(at);
      expect(firstBad!.from - 1).toBeGreaterThanOrEqual(from);
      expect(firstBad!.from - 1).toBeLessThanOrEqual(at + 1);
      expect(firstBad!.to).toBeGreaterThanOrEqual(firstBad!.from);
    }),
  );
});

test("a batch without its seal is reported, and sealed by the next process", async () => {
  await using at = await folder();
  const write = async (...ids: string[]) => {
    const audit = open(at.file);
    for (const id of ids) audit.write({ event: "tool_execution", tool_call_id: id });
    await audit.close();
  };
  await write("a");
  await write("b", "c", "d");
  const lines = (await readFile(at.file, "utf8")).trimEnd().split("\n");
  await writeFile(at.file, `${lines.slice(0, 3).join("\n")}\n`);
  expect(await verifyAudit(createReadStream(at.file))).toEqual({ ok: false, lines: 3, unsealed: 2 });
  await write("e");
  expect(await readFile(at.file, "utf8")).toContain('"event":"audit_recovered","torn_bytes":0,"unsealed_lines":2');
  expect(await verifyAudit(createReadStream(at.file))).toEqual({ ok: true, lines: 5 });
});

test("a failing disk is reported once, nothing is thrown, and lines wait for it", async () => {
  await using at = await folder();
  const sink = fileSink(at.file);
  let broken = true;
  const reports: boolean[] = [];
  const audit = createAudit({
    sink: { ...sink, append: (bytes) => (broken ? Promise.reject(new Error("ENOSPC")) : sink.append(bytes)) },
    redactor: createRedactor([]),
    report: ({ failed }) => void reports.push(failed),
    capacity: 3,
  });
  for (let index = 0; index < 5; index += 1) audit.write({ event: "tool_execution", tool_call_id: String(index) });
  await vi.waitFor(() => expect(reports).toEqual([true]));
  expect(audit.lost).toBe(2);
  broken = false;
  await audit.close();
  expect(reports).toEqual([true, false]);
  expect(await verifyAudit(createReadStream(at.file))).toEqual({ ok: true, lines: 4 });
  expect(await readFile(at.file, "utf8")).toContain('"event":"audit_lost","lines":2');
});

test("the audit file - means stderr", async () => {
  const stderr = new PassThrough();
  const audit = createAudit({ sink: stderrSink(stderr), redactor: createRedactor([]), report: () => undefined });
  audit.write({ event: "denied", caller: "crm" });
  await audit.close();
  expect(String(stderr.read())).toMatch(/"event":"denied","caller":"crm","hash":"[0-9a-f]{64}"\}\n$/);
});

test("the line of an execution is valid JSON whatever its fields contain (hazard 18)", () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: "binary" }),
    fc.constantFrom('"', "\\", "\u2028", "\n", "\ud800", ""),
  );
  // One instance for all of them: it remembers the last caller.
  const lineOfExecution = createExecutionLines();
  fc.assert(
    fc.property(
      text,
      text,
      text,
      text,
      fc.double({ min: 0, noNaN: true, noDefaultInfinity: true }),
      (id, session, tool, caller, ms) => {
        const line = lineOfExecution(
          {
            caller,
            tenant: tool,
            source: caller,
            conversationId: id,
            sessionId: session,
            toolName: tool,
            toolCallId: id,
            argumentsDigest: "digest",
            outcome: "OK",
            latencyMs: ms,
            traceId: "0af7651916cd43dd8448eb211c80319c",
          },
          "2026-01-01T00:00:00.000Z",
        );
        expect(line).not.toContain("\n");
        expect(JSON.parse(line)).toEqual({
          time: "2026-01-01T00:00:00.000Z",
          event: "tool_execution",
          caller,
          tenant: tool,
          source: caller,
          conversation_id: id,
          ...(session !== "" && { session_id: session }),
          tool_name: tool,
          tool_call_id: id,
          arguments_digest: "digest",
          outcome: "OK",
          latency_ms: Object.is(ms, -0) ? 0 : ms,
          trace_id: "0af7651916cd43dd8448eb211c80319c",
        });
      },
    ),
  );
});
