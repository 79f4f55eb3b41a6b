import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { describe, expect, onTestFinished, test } from "vitest";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { outcomeName } from "../../src/executor/observe.ts";
import type { ToolDefinition } from "../../src/plugin/tool.ts";
import { HttpError } from "../../src/plugin/http-error.ts";
import { ToolError } from "../../src/plugin/tool-error.ts";
import { startDownstream } from "../outbound/downstream.ts";
import { aCall, aTool, caller, type ExecutorOptions, gate, startExecutor, requestIn } from "../support/executor.ts";

/** Starts an executor, and records its spans, audit lines and log lines. */
async function start(definition: ToolDefinition["execute"] | Partial<ToolDefinition>, options: ExecutorOptions = {}) {
  const exporter = new InMemorySpanExporter();
  const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
  const tool = typeof definition === "function" ? { execute: definition } : definition;
  const started = await startExecutor([aTool({ execute: () => 1, ...tool })], {
    tracer: provider.getTracer("test"),
    ...options,
  });
  onTestFinished(() => started[Symbol.asyncDispose]());
  return {
    ...started,
    spans: () => exporter.getFinishedSpans(),
    lines: (message: string): Record<string, unknown>[] =>
      started.log.map((line) => JSON.parse(line) as Record<string, unknown>).filter(({ msg }) => msg === message),
  };
}

const everywhere = requestIn("c-1", {
  context: { $typeName: "jackfield.v1.CallContext", conversationId: "c-1", sessionId: "s-1", runId: "r-1", source: "" },
  jobId: "j-1",
});
const ids = {
  "gen_ai.tool.name": "work",
  "gen_ai.tool.call.id": "call-1",
  "gen_ai.conversation.id": "c-1",
  "session.id": "s-1",
  "jackfield.run.id": "r-1",
  "jackfield.job.id": "j-1",
};

describe("the span of a call", () => {
  test("names the tool, the call and its context, and is a child of the request's span", async () => {
    const { executor, spans, audit } = await start(async () => 1);
    const traceId = "0af7651916cd43dd8448eb211c80319c";
    const parent = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId: "b7ad6b7169203331", traceFlags: 1 });
    await executor.execute(aCall(), { ...everywhere, trace: parent });
    expect(spans()).toHaveLength(1);
    const [span] = spans();
    expect(span).toMatchObject({ name: "execute_tool work", kind: SpanKind.INTERNAL });
    expect(span!.spanContext().traceId).toBe(traceId);
    expect(span!.attributes).toEqual({ "gen_ai.operation.name": "execute_tool", ...ids });
    expect(span!.status.code).toBe(SpanStatusCode.UNSET);
    expect(audit[0]).toMatchObject({ traceId, jobId: "j-1", runId: "r-1", sessionId: "s-1" });
  });

  test("contains the outcome of an unsuccessful call", async () => {
    const { executor, spans } = await start(() => {
      throw new Error("odd");
    });
    await executor.execute(aCall(), requestIn());
    expect(spans()[0]!.attributes["error.type"]).toBe("FAILED");
    expect(spans()[0]!.status).toEqual({ code: SpanStatusCode.ERROR, message: "FAILED" });
  });

  test("exists for a repeat, which is neither counted nor audited", async () => {
    const { executor, spans, audit, executed } = await start(() => 1);
    for (let n = 0; n < 2; n += 1) await executor.execute(aCall(), requestIn());
    expect([spans().length, audit.length, executed.length]).toEqual([2, 1, 1]);
  });

  test("ends with the call that it joins, and only one is counted", async () => {
    const { opened, open } = gate();
    const { executor, spans, audit } = await start(() => opened.then(() => 1));
    const calls = [0, 1].map(async () => executor.execute(aCall(), requestIn()));
    open();
    await Promise.all(calls);
    expect([spans().length, audit.length]).toEqual([2, 1]);
  });

  test("is an error if the call could not be executed, with one log line that gives the reason", async () => {
    const { executor, spans, lines, audit } = await start({ effect: "write" });
    const reason = await start({ effect: "write" }, { ledger: unreachable() });
    await executor.execute(aCall(), everywhere);
    await expect(reason.executor.execute(aCall(), everywhere)).rejects.toThrow();
    expect([spans()[0]!.status.code, reason.spans()[0]!.status.code]).toEqual([
      SpanStatusCode.UNSET,
      SpanStatusCode.ERROR,
    ]);
    expect(lines("a call could not be executed")).toEqual([]);
    expect(reason.lines("a call could not be executed")).toMatchObject([
      { tool: "work", call: "call-1", conversation: "c-1", session: "s-1", run_id: "r-1", job: "j-1" },
    ]);
    expect([audit.length, reason.audit.length]).toEqual([1, 0]);
  });
});

/** A ledger that rejects every intent with an internal error. */
function unreachable(): NonNullable<ExecutorOptions["ledger"]> {
  return {
    onErased() {},
    begin: async () => {
      throw new Error("the ledger is broken");
    },
    settled: async () => {},
  } as unknown as NonNullable<ExecutorOptions["ledger"]>;
}

describe("the metrics of a call", () => {
  test("contain its tool, outcome and caller, its duration, and whether its function was called", async () => {
    const { executor, executed, audit } = await start({
      execute: () => 1,
      inputSchema: { type: "object", properties: { n: { type: "number" } } },
    });
    await executor.execute(aCall(), requestIn());
    await executor.execute(aCall({ n: "x" }, { id: "call-2" }), requestIn());
    expect(executed).toMatchObject([
      { tool: "work", outcome: "OK", ran: true, caller: caller.name, source: "test" },
      { outcome: "INVALID_ARGUMENTS", ran: false },
    ]);
    expect(executed[0]!.seconds).toBeGreaterThanOrEqual(0);
    expect(executed[0]!.seconds).toBeLessThan(20);
    expect(audit[0]).toMatchObject({
      caller: "test",
      tenant: "default",
      source: "test",
      conversationId: "conversation-1",
      toolName: "work",
      toolCallId: "call-1",
      outcome: "OK",
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      argumentsDigest: expect.stringMatching(/^[\w-]{43}$/) as string,
    });
    expect(audit[0]!.latencyMs).toBeCloseTo(executed[0]!.seconds * 1000, 2);
  });

  test("have a name for every outcome, including an unknown one", () => {
    expect([outcomeName(Outcome.OK), outcomeName(Outcome.TIMED_OUT), outcomeName(99 as Outcome)]).toEqual([
      "OK",
      "TIMED_OUT",
      "UNSPECIFIED",
    ]);
  });
});

describe("the log of a call", () => {
  test("is the tool's, at each level, with the ids of the call", async () => {
    const { executor, lines } = await start((_args, { log }) => {
      log.debug("a");
      log.info("b", { x: 1 });
      log.warn("c");
      log.error("d", { y: 2 });
      return 1;
    });
    await executor.execute(aCall(), everywhere);
    const about = { tool: "work", call: "call-1", conversation: "c-1", session: "s-1", run_id: "r-1", job: "j-1" };
    expect(["a", "b", "c", "d"].map((message) => lines(message)[0])).toMatchObject([
      { level: 20, ...about },
      { level: 30, x: 1, ...about },
      { level: 40, ...about },
      { level: 50, y: 2, ...about },
    ]);
  });

  test.each([
    ["a fault", new RangeError("odd"), 40],
    ["what its author meant to say", new ToolError("closed"), 30],
    ["a downstream that refused", new HttpError("no", { status: 404 }), 30],
    ["a downstream that is broken", new HttpError("no", { status: 500 }), 40],
    ["a downstream that could not be reached", new HttpError("no", {}), 40],
  ])("reports for %s that the tool failed, with details at debug", async (_what, reason, level) => {
    const { executor, lines } = await start(() => {
      throw reason;
    });
    await executor.execute(aCall(), requestIn());
    expect(lines("tool failed")).toMatchObject([{ level, call: "call-1", error: { name: reason.name } }]);
    expect(JSON.stringify(lines("tool failed"))).not.toContain(reason.message);
    expect(lines("tool failed: details")).toMatchObject([{ level: 20, error: { message: reason.message } }]);
  });

  test("reports that a tool took too long, and its time limit; a later value of a read is not reported", async () => {
    const { opened, open } = gate();
    const { executor, lines } = await start({ execute: () => opened, timeoutMs: 100 });
    await executor.execute(aCall(), requestIn());
    open();
    await new Promise(setImmediate);
    expect(lines("a call whose outcome was not known has returned after all")).toEqual([]);
    expect(lines("tool timed out")).toMatchObject([{ level: 40, call: "call-1", timeout_ms: 100 }]);
    expect(lines("tool failed")).toEqual([]);
  });
});

test("a request of a tool has a span below the call's, with the ids of the call, and a log line for each retry", async () => {
  await using api = await startDownstream((response, _request, nth) => response.writeHead(nth === 1 ? 429 : 200).end());
  const { executor, spans, lines } = await start(
    {
      retry: { baseMs: 1 },
      execute: async (_args, { http, config }) => (await http((config as { url: string }).url)).status,
    },
    { settings: { config: { url: api.origin } } },
  );
  await executor.execute(aCall(), everywhere);
  const call = spans().find(({ name }) => name === "execute_tool work")!;
  const requests = spans().filter(({ name }) => name === "GET");
  expect(requests.map(({ attributes }) => attributes)).toMatchObject([ids, ids]);
  expect(requests.map(({ parentSpanContext }) => parentSpanContext?.spanId)).toEqual(
    requests.map(() => call.spanContext().spanId),
  );
  expect(lines("a request is repeated after a pause")).toMatchObject([{ call: "call-1", tool: "work", status: 429 }]);
});
