import { createExecutionLines } from "../../src/telemetry/audit.ts";
import { describe, expect, test, vi } from "vitest";
import { cancellationFromSignal } from "../../src/executor/cancellation.ts";
import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { Effect, ExecutionContext } from "../../src/plugin/tool.ts";
import { aCall, aTool, caller, contextOf, gate, outcomeOf, startExecutor, within } from "../support/executor.ts";
import { testRequirement } from "../support/test-requirement.ts";

const never = (): Promise<never> => new Promise(() => {});
const effects: Effect[] = ["read", "idempotent", "write"];
const pending = {
  read: "Tool execution timed out or failed. Please retry.",
  write: "The request is still being processed. Do not repeat it.",
};

describe("the answer deadline", () => {
  describe.each([
    ["call-1", "conversation-1"],
    ["call-1", ""],
    ["", "conversation-1"],
    ["", ""],
  ])("of call %j in conversation %j", (id, conversation) => {
    test.each(effects)("ends only the wait for a %s; the answer is found later", async (effect) => {
      const go = gate();
      await using app = await startExecutor([aTool({ effect, execute: async () => (await go.opened, "done") })]);
      const result = await app.executor.execute(aCall({}, { id }), within(conversation, { answerWithinMs: 5 }));
      expect([outcomeOf(result), result.output]).toEqual(["PENDING", effect === "read" ? pending.read : pending.write]);
      expect(result.callId).not.toBe("");
      if (id !== "") expect(result.callId).toBe(id);
      const where = [result.callId, contextOf(conversation), caller] as const;
      expect(await app.executor.find(...where)).toEqual({ state: CallState.RUNNING, result: undefined });
      const waiting = app.executor.wait(...where, AbortSignal.timeout(5000));
      go.open();
      expect(await waiting).toMatchObject({ state: CallState.DONE, result: { callId: result.callId, output: "done" } });
      // Also for another process: it is in the ledger.
      await using other = await startExecutor([], { ledger: app.ledger });
      expect(await other.executor.find(...where)).toMatchObject({ state: CallState.DONE, result: { output: "done" } });
    });
  });

  test("in the past passes at once; waiting returns the current state", async () => {
    await using app = await startExecutor([aTool({ execute: never })]);
    expect(outcomeOf(await app.executor.execute(aCall(), within("c", { answerWithinMs: 0 })))).toBe("PENDING");
    expect(await app.executor.wait("call-1", contextOf("c"), caller, AbortSignal.timeout(20))).toEqual({
      state: CallState.RUNNING,
      result: undefined,
    });
    expect(await app.executor.find("nope", contextOf("c"), caller)).toBeUndefined();
    expect(await app.executor.find("call-1", contextOf("d"), caller)).toBeUndefined();
  });

  test.each([
    ["the caller's", 10, 60_000],
    ["the tool's", 60_000, 10],
    ["the caller's alone", 10, undefined],
    ["the tool's alone", undefined, 10],
  ])("is the shorter one: %s", async (_whose, answerWithinMs, ofTool) => {
    await using app = await startExecutor([aTool({ execute: never })], { settings: { answerWithinMs: ofTool } });
    expect(outcomeOf(await app.executor.execute(aCall(), within("c", { answerWithinMs })))).toBe("PENDING");
  });

  test("removes the listener for the caller's disconnection, and so does the answer", async () => {
    const go = gate();
    await using app = await startExecutor([aTool({ execute: () => go.opened.then(() => 1) })]);
    let listeners = 0;
    const cancellation = {
      cancelled: undefined,
      subscribe() {
        listeners += 1;
        return () => void (listeners -= 1);
      },
    };
    const early = app.executor.execute(aCall(), within("c", { answerWithinMs: 5, cancellation }));
    expect(listeners).toBe(1);
    expect(outcomeOf(await early)).toBe("PENDING");
    expect(listeners).toBe(0);
    const other = app.executor.execute(aCall({}, { id: "call-2" }), within("c", { cancellation }));
    go.open();
    expect(outcomeOf(await other)).toBe("OK");
    expect(listeners).toBe(0);
  });
});

describe("the execution deadline", () => {
  test("of many calls at once ends a few of them, and starts as few others, in each turn of the event loop", async () => {
    let turn = 0;
    let counting = true;
    const count = (): void => {
      turn += 1;
      if (counting) setImmediate(count);
    };
    count();
    const begun: number[] = [];
    const ended: number[] = [];
    const tool = aTool({
      effect: "read",
      timeoutMs: 50,
      limits: { concurrency: 64, queue: 64 },
      execute: (_args, { signal }) => {
        begun.push(turn);
        signal.addEventListener("abort", () => ended.push(turn));
        return never();
      },
    });
    await using app = await startExecutor([tool]);
    const calls = Array.from({ length: 128 }, (_, n) =>
      Promise.resolve(app.executor.execute(aCall({}, { id: `call-${n}` }), within("c"))),
    );
    await vi.waitFor(() => expect(begun.length).toBe(128));
    counting = false;
    await Promise.all(calls);
    const mostInOneTurn = (turns: readonly number[]) =>
      Math.max(...turns.map((one) => turns.filter((other) => other === one).length));
    expect(ended.length).toBeGreaterThanOrEqual(64);
    expect(mostInOneTurn(ended.slice(0, 64))).toBeLessThanOrEqual(8);
    expect(mostInOneTurn(begun.slice(64))).toBeLessThanOrEqual(8);
  });

  testRequirement(
    ["002.5", "fault-002.unseen"],
    "ends the work: the signal fires, the answer is the fallback, later results are dropped",
    async () => {
      const late = gate();
      const ended = gate();
      const reasons: unknown[] = [];
      const tool = aTool({
        timeoutMs: 30,
        async execute({ reject }: { reject: boolean }, { signal, progress }: ExecutionContext) {
          signal.addEventListener("abort", () => reasons.push(signal.reason));
          await late.opened;
          progress({ message: "late" });
          ended.open();
          if (reject) throw new Error("late");
          return "late";
        },
      });
      await using app = await startExecutor([tool]);
      const unhandled = vi.fn();
      process.on("unhandledRejection", unhandled);
      const heard = vi.fn();
      for (const reject of [true, false]) {
        const result = await app.executor.execute(
          aCall({ reject }, { id: `${reject}` }),
          within("c", { onProgress: heard }),
        );
        expect([outcomeOf(result), result.output]).toEqual(["TIMED_OUT", "Tool execution failed or timed out."]);
      }
      const passed = { name: "TimeoutError", message: "The tool's execution deadline has passed." };
      expect(reasons).toMatchObject([passed, passed]);
      late.open();
      await ended.opened;
      await new Promise((resolve) => setImmediate(resolve));
      process.off("unhandledRejection", unhandled);
      expect(unhandled).not.toHaveBeenCalled();
      expect(heard).not.toHaveBeenCalled();
      expect(app.audit.map(({ outcome }) => outcome)).toEqual(["TIMED_OUT", "TIMED_OUT"]);
      expect(app.executor.running).toBe(0);
    },
  );

  test("aborts the signal also for a tool that reads it only afterwards", async () => {
    const passed = gate();
    const late = Promise.withResolvers<AbortSignal>();
    const execute = async (_args: unknown, context: ExecutionContext) => {
      await passed.opened;
      late.resolve(context.signal);
    };
    await using app = await startExecutor([aTool({ timeoutMs: 5, execute })]);
    expect(outcomeOf(await app.executor.execute(aCall(), within()))).toBe("TIMED_OUT");
    passed.open();
    const { aborted, reason } = await late.promise;
    expect([aborted, (reason as Error).name]).toEqual([true, "TimeoutError"]);
  });

  test("of a write that started leaves it uncertain: the same call does not run again", async () => {
    const execute = vi.fn(never);
    await using app = await startExecutor([aTool({ effect: "write", timeoutMs: 10, execute })]);
    await app.executor.execute(aCall(), within());
    const again = await app.executor.execute(aCall(), within());
    expect([outcomeOf(again), again.replayed, execute.mock.calls.length]).toEqual(["UNCERTAIN", true, 1]);
  });
});

describe("a caller that disconnects", () => {
  test("cancels a read if it was the last one waiting (hazard 33)", async () => {
    let signal: AbortSignal | undefined;
    await using app = await startExecutor([
      aTool({ execute: (_args, context) => ((signal = context.signal), never()) }),
    ]);
    const [one, two] = [new AbortController(), new AbortController()];
    const first = app.executor.execute(aCall(), within("c", { cancellation: cancellationFromSignal(one.signal) }));
    const second = app.executor.execute(aCall(), within("c", { cancellation: cancellationFromSignal(two.signal) }));
    one.abort();
    await expect(first).rejects.toMatchObject({
      message: expect.stringContaining("the caller has gone away") as string,
    });
    expect(signal?.aborted).toBe(false);
    two.abort();
    // Whoever comes now does not get the answer of what was given up.
    const third = app.executor.execute(aCall(), within("c", { answerWithinMs: 10 }));
    await expect(second).rejects.toThrow("gone away");
    await vi.waitFor(() => expect(app.audit[0]?.outcome).toBe("CANCELLED"));
    expect(outcomeOf(await third)).toBe("PENDING");
  });

  test("cancels a read immediately if it disconnected before the read began to wait (hazard 33)", async () => {
    await using app = await startExecutor([aTool({ execute: never })]);
    const cancellation = cancellationFromSignal(AbortSignal.abort());
    const asked = app.executor.execute(aCall(), within("c", { cancellation, answerWithinMs: 60_000 }));
    await expect(asked).rejects.toThrow("gone away");
    await vi.waitFor(() => expect(app.audit[0]?.outcome).toBe("CANCELLED"));
  });

  test.each(["idempotent", "write"] as const)(
    "does not stop an %s call: it finishes and is recorded",
    async (effect) => {
      const go = gate();
      await using app = await startExecutor([aTool({ effect, execute: async () => (await go.opened, "done") })]);
      const leave = new AbortController();
      const asked = app.executor.execute(aCall(), within("c", { cancellation: cancellationFromSignal(leave.signal) }));
      leave.abort();
      await expect(asked).rejects.toThrow("gone away");
      go.open();
      expect(await app.executor.execute(aCall(), within("c"))).toMatchObject({ output: "done" });
      expect(await app.executor.execute(aCall(), within("c"))).toMatchObject({ output: "done", replayed: true });
    },
  );
});

describe("overload", () => {
  const settings = { limits: { concurrency: 1, queue: 1 } };

  test("is reported at once, and its slot is free again after answers, errors and timeouts", async () => {
    const go = gate();
    const tool = aTool({
      timeoutMs: 50,
      async execute({ how }: { how: string }) {
        if (how === "throw") throw new Error("x");
        if (how === "hang") return never();
        await go.opened;
        return "done";
      },
    });
    await using app = await startExecutor([tool], { settings });
    const ask = (how: string, id: string) => app.executor.execute(aCall({ how }, { id }), within());
    const running = [ask("wait", "1"), ask("wait", "2")];
    const refused = await ask("wait", "3");
    expect([outcomeOf(refused), refused.output]).toEqual(["OVERLOADED", "This tool is busy. Try again in 1 seconds."]);
    go.open();
    expect((await Promise.all(running.map((each) => Promise.resolve(each)))).map(({ output }) => output)).toEqual([
      "done",
      "done",
    ]);
    for (const how of ["throw", "hang", "throw", "hang"]) await ask(how, "");
    expect(await ask("wait", "3")).toMatchObject({ output: "done", replayed: false });
  });

  test("does not keep a repeat from its stored answer, or from joining a call in another process", async () => {
    const go = gate();
    const tool = aTool({ effect: "write", execute: async ({ a }: { a: number }) => (a === 1 && (await go.opened), a) });
    await using app = await startExecutor([tool], { settings });
    await using other = await startExecutor([tool], { settings, ledger: app.ledger });
    const ask = (at: typeof app, a: number, id: string) => at.executor.execute(aCall({ a }, { id }), within());
    await ask(other, 0, "old");
    const busy = [ask(other, 1, "1"), ask(other, 1, "2")];
    await vi.waitFor(async () =>
      expect(await app.ledger.find(JSON.stringify(["default", "test", "c", "conversation-1", "1"]))).toBeDefined(),
    );
    const held = [ask(app, 1, "3"), ask(app, 1, "4")];
    const joining = ask(app, 1, "1");
    expect(await ask(app, 0, "old")).toMatchObject({ output: "0", replayed: true });
    expect(outcomeOf(await ask(app, 1, "5"))).toBe("OVERLOADED");
    go.open();
    expect(await joining).toMatchObject({ output: "1", replayed: true });
    await Promise.all([...busy, ...held]);
  });

  test("removes a caller from the queue when it disconnects", async () => {
    const execute = vi.fn(never);
    await using app = await startExecutor([aTool({ execute })], { settings });
    void app.executor.execute(aCall({}, { id: "1" }), within("c", { answerWithinMs: 1 }));
    const leave = new AbortController();
    const queued = app.executor.execute(
      aCall({}, { id: "2" }),
      within("c", { cancellation: cancellationFromSignal(leave.signal) }),
    );
    leave.abort();
    await expect(queued).rejects.toThrow("gone away");
    // Its place in the queue is free again.
    const next = app.executor.execute(aCall({}, { id: "3" }), within("c", { answerWithinMs: 1 }));
    expect(outcomeOf(await next)).toBe("PENDING");
    expect(execute).toHaveBeenCalledOnce();
  });
});

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
        within("c", {
          onProgress: () => {
            throw new Error("x");
          },
        }),
      ),
      app.executor.execute(aCall(), within("c", { onProgress: ({ fraction }) => one.push(fraction) })),
      app.executor.execute(
        aCall(),
        within("c", { onProgress: ({ fraction, callId }) => two.push(callId === "call-1" ? fraction : -1) }),
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
