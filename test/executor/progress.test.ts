import { createExecutionLines } from "../../src/telemetry/audit.ts";
import { describe, expect, test } from "vitest";
import { aCall, aTool, caller, contextOf, gate, startExecutor, requestIn } from "../support/executor.ts";
import { testRequirement } from "../support/test-requirement.ts";

describe("progress", () => {
  test("reaches all waiting callers, with its fraction between 0 and 1; a listener that throws does no harm", async () => {
    const go = gate();
    const tool = aTool({
      async execute(_args, { progress }) {
        await go.opened;
        for (const fraction of [-1, 0.5, 7, Number.NaN]) progress({ message: "m", fraction });
        progress({});
        return "done";
      },
    });
    await using app = await startExecutor([tool]);
    const [one, two]: [number[], number[]] = [[], []];
    const asked = [
      app.executor.execute(
        aCall(),
        requestIn("c", {
          onProgress: () => {
            throw new Error("x");
          },
        }),
      ),
      app.executor.execute(aCall(), requestIn("c", { onProgress: ({ fraction }) => one.push(fraction) })),
      app.executor.execute(
        aCall(),
        requestIn("c", { onProgress: ({ fraction, callId }) => two.push(callId === "call-1" ? fraction : -1) }),
      ),
    ];
    go.open();
    expect((await Promise.all(asked.map((each) => Promise.resolve(each)))).map(({ output }) => output)).toEqual([
      "done",
      "done",
      "done",
    ]);
    expect(one).toEqual([0, 0.5, 1, 0, 0]);
    expect(two).toEqual(one);
  });
});

describe("the observation of a call", () => {
  testRequirement(
    "000.10",
    "contains conversation and session in the tool, its log and the audit line, which has a trace id",
    async () => {
      const tool = aTool({
        execute: (_args, { conversationId, sessionId, callId, source, log }) => (
          log.info("hello"),
          { conversationId, sessionId, callId, source }
        ),
      });
      await using app = await startExecutor([tool]);
      const context = { ...contextOf("conv"), sessionId: "sess" };
      const result = await app.executor.execute(aCall({ secret: "words" }), { caller, context });
      expect(JSON.parse(result.output)).toEqual({
        conversationId: "conv",
        sessionId: "sess",
        callId: "call-1",
        source: "test",
      });
      expect(JSON.parse(app.log.find((line) => line.includes("hello")) ?? "")).toMatchObject({
        tool: "work",
        call: "call-1",
        conversation: "conv",
      });
      expect(app.audit.map((event): unknown => JSON.parse(createExecutionLines()(event, "2026-01-01")))).toEqual([
        {
          time: "2026-01-01",
          event: "tool_execution",
          caller: "test",
          tenant: "default",
          source: "test",
          conversation_id: "conv",
          session_id: "sess",
          tool_name: "work",
          tool_call_id: "call-1",
          arguments_digest: expect.stringMatching(/^[\w-]{43}$/) as string,
          outcome: "OK",
          latency_ms: expect.any(Number) as number,
          trace_id: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
        },
      ]);
      expect(app.executed).toEqual([
        expect.objectContaining({ tool: "work", outcome: "OK", ran: true, caller: "test", source: "test" }),
      ]);
      expect(app.log.join()).not.toContain("words");
    },
  );
});
