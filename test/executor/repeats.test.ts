import { describe, expect, test, vi } from "vitest";
import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { isReplayable } from "../../src/executor/stages/record-outcome.ts";
import { errorResult } from "../../src/executor/tool-result.ts";
import { createMemoryLedger } from "../../src/ledger/drivers/memory.ts";
import type { ErasureListener, Ledger, LedgerEntry } from "../../src/ledger/ledger.ts";
import { ToolError } from "../../src/plugin/tool-error.ts";
import type { Effect } from "../../src/plugin/tool.ts";
import { aCall, aTool, caller, contextOf, gate, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";

/** A tool that counts its runs and waits at a gate. */
function counted(effect: Effect, act: (run: number) => unknown = () => "done") {
  const state = { runs: 0, go: gate() };
  const tool = aTool({
    effect,
    async execute() {
      const run = ++state.runs;
      await state.go.opened;
      return act(run);
    },
  });
  return { state, tool };
}

const effects: Effect[] = ["read", "idempotent", "write"];

describe.each(effects)("a repeated call of a %s tool", (effect) => {
  test("joins while the first runs: 1,000 at once run once and get equal answers", async () => {
    const { state, tool } = counted(effect, () => ({ n: Math.random() }));
    await using app = await startExecutor([tool]);
    const asked = Array.from({ length: 1000 }, () => app.executor.execute(aCall({ a: 1 }), requestIn()));
    await vi.waitFor(() => expect(state.runs).toBe(1));
    state.go.open();
    const answers = await Promise.all(asked.map((each) => Promise.resolve(each)));
    expect(state.runs).toBe(1);
    expect(new Set(answers.map(({ output }) => output)).size).toBe(1);
    expect(answers.every((answer) => answer.callId === "call-1" && answer.name === "work")).toBe(true);
    expect(app.audit).toHaveLength(1);
    expect(app.executed).toHaveLength(1);
  });

  test("after the end gets the stored answer, marked as replayed, and no second audit line (hazard 23)", async () => {
    const { state, tool } = counted(effect, (run) => ({ run }));
    state.go.open();
    await using app = await startExecutor([tool]);
    const first = await app.executor.execute(aCall({ a: 1 }), requestIn());
    const again = await app.executor.execute(aCall('{ "a": 1 }'), requestIn());
    expect(first).toMatchObject({ output: '{"run":1}', replayed: false, attempts: 1 });
    expect(again).toMatchObject({ output: '{"run":1}', replayed: true, callId: "call-1", name: "work" });
    expect(state.runs).toBe(1);
    expect(app.audit).toHaveLength(1);
    expect(app.executed).toHaveLength(1);
  });

  test("with other arguments, or of another tool, is a conflict, during the run and afterwards", async () => {
    const { state, tool } = counted(effect);
    const other = aTool({ name: "other", effect, execute: () => "other" });
    await using app = await startExecutor([tool, other]);
    const expectConflicts = async () => {
      for (const call of [aCall({ a: 2 }), aCall({ a: 1 }, { name: "other" })]) {
        const result = await app.executor.execute(call, requestIn());
        expect([outcomeOf(result), result.output]).toEqual([
          "CONFLICT",
          "This call id was already used with other arguments.",
        ]);
      }
    };
    const first = app.executor.execute(aCall({ a: 1 }), requestIn());
    await vi.waitFor(() => expect(state.runs).toBe(1));
    await expectConflicts();
    state.go.open();
    await first;
    await expectConflicts();
    expect(state.runs).toBe(1);
  });

  test("in another conversation, of another caller or tenant is a different call", async () => {
    const { state, tool } = counted(effect);
    state.go.open();
    await using app = await startExecutor([tool]);
    await app.executor.execute(aCall(), requestIn());
    await app.executor.execute(aCall(), requestIn("conversation-2"));
    await app.executor.execute(aCall(), requestIn("conversation-1", { caller: { ...caller, name: "someone" } }));
    await app.executor.execute(aCall(), requestIn("conversation-1", { caller: { ...caller, tenant: "someone" } }));
    expect(state.runs).toBe(4);
  });

  test("without a scope, or without an id, runs again", async () => {
    const { state, tool } = counted(effect);
    state.go.open();
    await using app = await startExecutor([tool]);
    for (const [call, request] of [
      [aCall(), requestIn("")],
      [aCall({}, { id: "" }), requestIn()],
    ] as const) {
      await app.executor.execute(call, request);
      expect(await app.executor.execute(call, request)).toMatchObject({ replayed: false });
    }
    expect(state.runs).toBe(4);
  });

  test("after a failure runs again, unless it is a write that had started", async () => {
    const { state, tool } = counted(effect, (run) => {
      if (run === 1) throw new ToolError("no luck");
      return "luck";
    });
    state.go.open();
    await using app = await startExecutor([tool]);
    expect(await app.executor.execute(aCall(), requestIn())).toMatchObject({ output: "no luck", replayed: false });
    const again = await app.executor.execute(aCall(), requestIn());
    expect(again).toMatchObject(
      effect === "write" ? { output: "no luck", replayed: true } : { output: "luck", replayed: false },
    );
    expect(state.runs).toBe(effect === "write" ? 1 : 2);
  });

  test("after an answer that does not match the output schema gets that answer", async () => {
    const run = vi.fn(() => 1);
    await using app = await startExecutor([aTool({ effect, outputSchema: { type: "string" }, execute: run })]);
    const first = await app.executor.execute(aCall(), requestIn());
    expect([outcomeOf(first), first.output]).toEqual(["INVALID_OUTPUT", "The tool's answer was not what it promises."]);
    expect(await app.executor.execute(aCall(), requestIn())).toMatchObject({ replayed: true });
    expect(run).toHaveBeenCalledOnce();
  });
});

describe("cached answers of reads", () => {
  test("are limited: the oldest is dropped first", async () => {
    const { state, tool } = counted("read");
    state.go.open();
    await using app = await startExecutor([tool], { recentEntries: 2 });
    for (const id of ["a", "b", "c"]) await app.executor.execute(aCall({}, { id }), requestIn());
    expect(await app.executor.execute(aCall({}, { id: "c" }), requestIn())).toMatchObject({ replayed: true });
    expect(await app.executor.execute(aCall({}, { id: "a" }), requestIn())).toMatchObject({ replayed: false });
    expect(state.runs).toBe(4);
  });

  test("are erased with their conversation", async () => {
    const { state, tool } = counted("read");
    state.go.open();
    await using app = await startExecutor([tool]);
    await app.executor.execute(aCall(), requestIn());
    await app.executor.erase({ tenant: "default", conversationId: "conversation-1" });
    expect(await app.executor.find("call-1", contextOf("conversation-1"), caller)).toBeUndefined();
    await app.executor.execute(aCall(), requestIn());
    expect(state.runs).toBe(2);
  });

  test("and the ids of ended writes are erased with their conversation; each call counts once", async () => {
    const tools = [aTool({ effect: "write", execute: () => 1 }), aTool({ name: "look", execute: () => "seen" })];
    await using app = await startExecutor(tools);
    await app.executor.execute(aCall({}, { id: "w" }), requestIn());
    await app.executor.execute(aCall({}, { name: "look", id: "r" }), requestIn());
    expect(await app.executor.erase({ tenant: "default", conversationId: "conversation-1" })).toBe(2);
    const reused = await app.executor.execute(aCall({}, { name: "look", id: "w" }), requestIn());
    expect(reused).toMatchObject({ output: "seen", replayed: false });
  });

  test("are erased with their conversation by another replica, and all of them if it may have been missed", async () => {
    const listeners: ErasureListener[] = [];
    const ledger: Ledger = { ...createMemoryLedger(), onErased: (listener) => void listeners.push(listener) };
    const { state, tool } = counted("read");
    state.go.open();
    await using app = await startExecutor([tool], { ledger, settings: { repeatWindowMs: 60_000 } });
    const runsOf = async (conversation: string): Promise<number> => {
      await app.executor.execute(aCall({}, { id: conversation }), requestIn(conversation));
      return state.runs;
    };
    expect([await runsOf("a"), await runsOf("b"), await runsOf("a"), await runsOf("b")]).toEqual([1, 2, 2, 2]);
    for (const listener of listeners) listener({ tenant: "default", conversationId: "a" });
    expect([await runsOf("a"), await runsOf("b")]).toEqual([3, 3]);
    for (const listener of listeners) listener("all");
    expect([await runsOf("a"), await runsOf("b")]).toEqual([4, 5]);
  });

  test("do not change if the tool changes the returned object later", async () => {
    const shared = { n: 0 };
    await using app = await startExecutor([aTool({ execute: () => (shared.n++, shared) })]);
    const result = await app.executor.execute(aCall(), requestIn());
    shared.n = 99;
    expect(JSON.stringify(result.value)).toContain(":1");
    expect(JSON.stringify(result.value)).not.toContain("99");
  });
});

describe("a tool with a repeat window", () => {
  const settings = { repeatWindowMs: 60_000 };

  test.each(effects)("answers the same %s call under a new id with the first answer", async (effect) => {
    const { state, tool } = counted(effect, (run) => ({ run }));
    state.go.open();
    await using app = await startExecutor([tool], { settings });
    await app.executor.execute(aCall({ a: 1 }, { id: "a" }), requestIn());
    const again = await app.executor.execute(aCall({ a: 1 }, { id: "b" }), requestIn());
    expect(again).toMatchObject({ callId: "b", name: "work", output: '{"run":1}', replayed: true });
    expect((await app.executor.find("b", contextOf("conversation-1"), caller))?.state).toBe(CallState.DONE);
    await app.executor.execute(aCall({ a: 2 }, { id: "c" }), requestIn());
    await app.executor.execute(aCall({ a: 1 }, { id: "d" }), requestIn("conversation-2"));
    expect(state.runs).toBe(3);
  });

  test.each(effects)("lets the same %s call under a new id join while the first runs", async (effect) => {
    const { state, tool } = counted(effect, (run) => ({ run }));
    await using app = await startExecutor([tool], { settings });
    const asked = ["a", "b", "c"].map((id) => app.executor.execute(aCall({}, { id }), requestIn()));
    await vi.waitFor(() => expect(state.runs).toBe(1));
    state.go.open();
    expect(
      (await Promise.all(asked.map((each) => Promise.resolve(each)))).map(({ callId, output }) => [callId, output]),
    ).toEqual(["a", "b", "c"].map((id) => [id, '{"run":1}']));
    expect(state.runs).toBe(1);
  });

  test("covers writes across replicas that share a ledger", async () => {
    const { state, tool } = counted("write", (run) => ({ run }));
    await using one = await startExecutor([tool], { settings });
    await using two = await startExecutor([tool], { settings, ledger: one.ledger });
    const first = one.executor.execute(aCall({}, { id: "a" }), requestIn());
    await vi.waitFor(() => expect(state.runs).toBe(1));
    const second = two.executor.execute(aCall({}, { id: "b" }), requestIn());
    state.go.open();
    expect((await first).output).toBe('{"run":1}');
    expect(await second).toMatchObject({ callId: "b", output: '{"run":1}', replayed: true });
    expect(await two.executor.execute(aCall({}, { id: "c" }), requestIn())).toMatchObject({
      callId: "c",
      replayed: true,
    });
    expect(state.runs).toBe(1);
  });

  test("runs again after the window, after an answer that is not stored, and when it is off", async () => {
    const { state, tool } = counted("idempotent", (run) => {
      if (run === 1) throw new ToolError("no luck");
      return run;
    });
    state.go.open();
    await using app = await startExecutor([tool], { settings: { repeatWindowMs: 1 } });
    await app.executor.execute(aCall({}, { id: "a" }), requestIn());
    expect((await app.executor.execute(aCall({}, { id: "b" }), requestIn())).output).toBe("2");
    let id = 0;
    const again = async () => (await app.executor.execute(aCall({}, { id: `c-${(id += 1)}` }), requestIn())).output;
    await expect.poll(again).toBe("3");
    await using off = await startExecutor([tool]);
    await off.executor.execute(aCall({}, { id: "a" }), requestIn());
    const before = state.runs;
    await off.executor.execute(aCall({}, { id: "b" }), requestIn());
    expect(state.runs).toBe(before + 1);
  });
});

test("a repeat gets the stored failure of a write that ran, and of nothing else", () => {
  const failed = { ...errorResult({ call: { id: "1", name: "x" } }, Outcome.FAILED, "no"), attempts: 1 };
  const entry = (effect: LedgerEntry["effect"], attempts: number) =>
    ({ effect, result: { ...failed, attempts } }) as LedgerEntry;
  expect(effects.map((effect) => isReplayable(entry(effect, 1)))).toEqual([false, false, true]);
  expect(effects.map((effect) => isReplayable(entry(effect, 0)))).toEqual([false, false, false]);
});
