import { describe, expect, test, vi } from "vitest";
import { cancellationFromSignal } from "../../src/executor/cancellation.ts";
import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { Effect, ExecutionContext } from "../../src/plugin/tool.ts";
import { aCall, aTool, caller, contextOf, gate, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";
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
      const result = await app.executor.execute(aCall({}, { id }), requestIn(conversation, { answerWithinMs: 5 }));
      expect([outcomeOf(result), result.output]).toEqual(["PENDING", effect === "read" ? pending.read : pending.write]);
      expect(result.callId).not.toBe("");
      if (id !== "") expect(result.callId).toBe(id);
      const where = [result.callId, contextOf(conversation), caller] as const;
      expect(await app.executor.find(...where)).toEqual({ state: CallState.RUNNING, result: undefined });
      const waiting = app.executor.wait(...where, AbortSignal.timeout(5000));
      go.open();
      expect(await waiting).toMatchObject({ state: CallState.DONE, result: { callId: result.callId, output: "done" } });
      // For other processes too: it is in the ledger.
      await using other = await startExecutor([], { ledger: app.ledger });
      expect(await other.executor.find(...where)).toMatchObject({ state: CallState.DONE, result: { output: "done" } });
    });
  });

  test("in the past passes at once; waiting returns the current state", async () => {
    await using app = await startExecutor([aTool({ execute: never })]);
    expect(outcomeOf(await app.executor.execute(aCall(), requestIn("c", { answerWithinMs: 0 })))).toBe("PENDING");
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
    expect(outcomeOf(await app.executor.execute(aCall(), requestIn("c", { answerWithinMs })))).toBe("PENDING");
  });

  test("of a tool does not end the wait of a job, whose results are final", async () => {
    const go = gate();
    const tool = aTool({ execute: () => go.opened.then(() => "done") });
    await using app = await startExecutor([tool], { settings: { answerWithinMs: 5 } });
    const ofJob = app.executor.execute(aCall(), requestIn("c", { jobId: "job-1" }));
    expect(outcomeOf(await app.executor.execute(aCall(), requestIn("c")))).toBe("PENDING");
    go.open();
    expect(await ofJob).toMatchObject({ output: "done" });
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
    const early = app.executor.execute(aCall(), requestIn("c", { answerWithinMs: 5, cancellation }));
    expect(listeners).toBe(1);
    expect(outcomeOf(await early)).toBe("PENDING");
    expect(listeners).toBe(0);
    const other = app.executor.execute(aCall({}, { id: "call-2" }), requestIn("c", { cancellation }));
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
    // As long as a real call takes to start or to end.
    const compute = (): void => {
      const until = performance.now() + 0.3;
      while (performance.now() < until);
    };
    const tool = aTool({
      effect: "read",
      timeoutMs: 50,
      limits: { concurrency: 64, queue: 64 },
      execute: (_args, { signal }) => {
        begun.push(turn);
        compute();
        signal.addEventListener("abort", () => {
          ended.push(turn);
          compute();
        });
        return never();
      },
    });
    await using app = await startExecutor([tool]);
    const calls = Array.from({ length: 128 }, (_, n) =>
      Promise.resolve(app.executor.execute(aCall({}, { id: `call-${n}` }), requestIn("c"))),
    );
    await Promise.all(calls);
    counting = false;
    const mostInOneTurn = (turns: readonly number[]) =>
      Math.max(...turns.map((one) => turns.filter((other) => other === one).length));
    // Some of those that waited may have left the queue, because their time in it is over at the same moment.
    expect(begun.length).toBeGreaterThan(64);
    expect(ended).toHaveLength(begun.length);
    expect(mostInOneTurn(ended.slice(0, 64))).toBeLessThanOrEqual(2);
    expect(mostInOneTurn(begun.slice(64))).toBeLessThanOrEqual(2);
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
          requestIn("c", { onProgress: heard }),
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
    expect(outcomeOf(await app.executor.execute(aCall(), requestIn()))).toBe("TIMED_OUT");
    passed.open();
    const { aborted, reason } = await late.promise;
    expect([aborted, (reason as Error).name]).toEqual([true, "TimeoutError"]);
  });

  test("of a write that started leaves it uncertain: the same call does not run again", async () => {
    const execute = vi.fn(never);
    await using app = await startExecutor([aTool({ effect: "write", timeoutMs: 10, execute })]);
    await app.executor.execute(aCall(), requestIn());
    const again = await app.executor.execute(aCall(), requestIn());
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
    const first = app.executor.execute(aCall(), requestIn("c", { cancellation: cancellationFromSignal(one.signal) }));
    const second = app.executor.execute(aCall(), requestIn("c", { cancellation: cancellationFromSignal(two.signal) }));
    one.abort();
    await expect(first).rejects.toMatchObject({
      message: expect.stringContaining("the caller has gone away") as string,
    });
    expect(signal?.aborted).toBe(false);
    two.abort();
    // A later caller does not get the answer of the cancelled call.
    const third = app.executor.execute(aCall(), requestIn("c", { answerWithinMs: 10 }));
    await expect(second).rejects.toThrow("gone away");
    await vi.waitFor(() => expect(app.audit[0]?.outcome).toBe("CANCELLED"));
    expect(outcomeOf(await third)).toBe("PENDING");
  });

  test("cancels a read immediately if it disconnected before the read began to wait (hazard 33)", async () => {
    await using app = await startExecutor([aTool({ execute: never })]);
    const cancellation = cancellationFromSignal(AbortSignal.abort());
    const asked = app.executor.execute(aCall(), requestIn("c", { cancellation, answerWithinMs: 60_000 }));
    await expect(asked).rejects.toThrow("gone away");
    await vi.waitFor(() => expect(app.audit[0]?.outcome).toBe("CANCELLED"));
  });

  test.each(["idempotent", "write"] as const)(
    "does not stop an %s call: it finishes and is recorded",
    async (effect) => {
      const go = gate();
      await using app = await startExecutor([aTool({ effect, execute: async () => (await go.opened, "done") })]);
      const leave = new AbortController();
      const asked = app.executor.execute(
        aCall(),
        requestIn("c", { cancellation: cancellationFromSignal(leave.signal) }),
      );
      leave.abort();
      await expect(asked).rejects.toThrow("gone away");
      go.open();
      expect(await app.executor.execute(aCall(), requestIn("c"))).toMatchObject({ output: "done" });
      expect(await app.executor.execute(aCall(), requestIn("c"))).toMatchObject({ output: "done", replayed: true });
    },
  );
});
