import { describe, expect, test, vi } from "vitest";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { executeBatch } from "../../src/executor/batch.ts";
import { errorResult } from "../../src/executor/tool-result.ts";
import { ToolError } from "../../src/plugin/tool-error.ts";
import type { Effect } from "../../src/plugin/tool.ts";
import { aCall, aTool, gate, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";
import { countTurns, slowArguments } from "../support/count-turns.ts";
import { testRequirement } from "../support/test-requirement.ts";

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

describe("a batch", () => {
  testRequirement(["000.7", "001.7"], "continues when calls fail, and answers in request order", async () => {
    const othersEnded = Promise.withResolvers<void>();
    const tool = aTool({
      async execute({ ms }: { ms: number }) {
        if (ms === 20) throw new ToolError("no such order");
        await othersEnded.promise;
        return ms;
      },
    });
    await using app = await startExecutor([tool, aTool({ name: "other", execute: () => "other" })]);
    const ended: string[] = [];
    const calls = [
      aCall({ ms: 40 }, { id: "a" }),
      aCall({ ms: 20 }, { id: "b" }),
      aCall({}, { id: "c", name: "nope" }),
      aCall({}, { id: "d", name: "other" }),
      aCall("{", { id: "e" }),
    ];
    const onResult = ({ callId }: { callId: string }) => {
      if (ended.push(callId) === calls.length - 1) othersEnded.resolve();
    };
    const results = await app.executor.executeAll(calls, requestIn("c", { onResult }));
    expect(results.map(({ output }) => output)).toEqual([
      "40",
      "no such order",
      "Unknown tool: nope",
      "other",
      "Invalid JSON in arguments for work",
    ]);
    expect(ended.at(-1)).toBe("a");
  });

  testRequirement("000.11", "runs its calls concurrently, at most 16", async () => {
    let [now, most] = [0, 0];
    const full = Promise.withResolvers<void>();
    const tool = aTool({
      async execute() {
        most = Math.max(most, ++now);
        if (now === 16) full.resolve();
        await full.promise;
        // A turn in which more could start.
        await new Promise((resolve) => setImmediate(resolve));
        now--;
      },
    });
    await using app = await startExecutor([tool]);
    await app.executor.executeAll(
      Array.from({ length: 64 }, (_, index) => aCall({}, { id: `${index}` })),
      requestIn(),
    );
    expect(most).toBe(16);
  });

  test("that contains an id twice runs it once; with other arguments the second is a conflict", async () => {
    const { state, tool } = counted("write");
    state.go.open();
    await using app = await startExecutor([tool]);
    const results = await app.executor.executeAll([aCall({ a: 1 }), aCall('{"a":1}'), aCall({ a: 2 })], requestIn(""));
    expect(results.map(outcomeOf)).toEqual(["OK", "OK", "CONFLICT"]);
    expect(state.runs).toBe(1);
  });

  test("that contains an id many times reads the arguments of the first call once for all (hazard 1)", async () => {
    await using app = await startExecutor([counted("read").tool]);
    let reads = 0;
    const first = {
      b: 1,
      get a() {
        reads += 1;
        return 1;
      },
    };
    const run = async (repeats: number): Promise<number> => {
      reads = 0;
      const id = `repeated ${repeats}`;
      const calls = Array.from({ length: repeats }, (_, index) => aCall({ a: index + 2 }, { id, name: "none" }));
      const results = await app.executor.executeAll([aCall(first, { id, name: "none" }), ...calls], requestIn());
      expect(results.map(outcomeOf)).toEqual(["UNKNOWN_TOOL", ...calls.map(() => "CONFLICT")]);
      return reads;
    };
    const once = await run(1);
    expect(once).toBeGreaterThan(0);
    expect(await run(60)).toBe(once);
  });

  test("that contains an id many times gives other requests a turn between the repeats", async () => {
    using slow = slowArguments(6);
    const calls = [aCall({ a: 1 }, { id: "1" }), ...Array.from({ length: 8 }, () => aCall(slow.args, { id: "1" }))];
    await executeBatch(calls, requestIn(), (call) => errorResult({ call }, Outcome.FAILED, "no"), 16);
    // Arguments are read twice: in which order their keys are, and as text.
    expect(slow.turns.length).toBe(16);
    expect(new Set(slow.turns).size).toBe(8);
  });

  test("whose calls take long to start gives other requests a turn in between", async () => {
    let now = 0;
    using _clock = vi.spyOn(performance, "now").mockImplementation(() => now);
    using counter = countTurns();
    const turnsWhere = async (msEach: number): Promise<number[]> => {
      const turns: number[] = [];
      const calls = Array.from({ length: 12 }, (_, index) => aCall({}, { id: `${index}` }));
      await executeBatch(
        calls,
        requestIn(),
        (call) => {
          now += msEach;
          turns.push(counter.turn);
          return errorResult({ call }, Outcome.FAILED, "no");
        },
        16,
      );
      return turns;
    };
    const mostWhere = async (msEach: number): Promise<number> =>
      Math.max(...[...Map.groupBy(await turnsWhere(msEach), String).values()].map(({ length }) => length));
    expect(new Set(await turnsWhere(0)).size).toBe(1);
    expect(await mostWhere(6)).toBe(2);
    expect(await mostWhere(5)).toBe(3);
  });

  test("starts its first calls at once", async () => {
    using _clock = vi.spyOn(performance, "now").mockImplementation(() => 1000);
    const execute = vi.fn((call: ReturnType<typeof aCall>) => errorResult({ call }, Outcome.FAILED, "no"));
    const batch = executeBatch([aCall({}, { id: "1" }), aCall({}, { id: "2" })], requestIn(), execute, 2);
    expect(execute).toHaveBeenCalledTimes(2);
    await batch;
  });

  test("rejects after all calls have ended if one could not be executed, and reports their results anyway", async () => {
    const calls = ["1", "2", "3"].map((id) => aCall({}, { id }));
    const told: string[] = [];
    const batch = executeBatch(
      calls,
      requestIn("c", { onResult: ({ callId }) => told.push(callId) }),
      async (call) => {
        if (call.id !== "3") throw new Error(`no ${call.id}`);
        return errorResult({ call }, Outcome.OK, "");
      },
      1,
    );
    await expect(batch).rejects.toThrow("no 1");
    expect(told).toEqual(["3"]);
  });

  test("with one id twice and extremely nested arguments is answered", async () => {
    await using app = await startExecutor([counted("read").tool]);
    const deep = JSON.parse("[".repeat(100_000) + "]".repeat(100_000)) as object;
    const results = await app.executor.executeAll([aCall({ deep }), aCall({ deep })], requestIn());
    expect(results.map(outcomeOf)).toEqual(["INVALID_ARGUMENTS", "INVALID_ARGUMENTS"]);
  });

  test("gives each of its calls the remaining time, at least 0", async () => {
    let now = 1000;
    using _clock = vi.spyOn(performance, "now").mockImplementation(() => now);
    const execute = vi.fn((call: ReturnType<typeof aCall>, _request: ReturnType<typeof requestIn>) => {
      now += 40;
      return errorResult({ call }, Outcome.OK, "");
    });
    const calls = ["1", "2", "3", "4"].map((id) => aCall({}, { id }));
    await executeBatch(calls, requestIn("c", { answerWithinMs: 100 }), execute, 1);
    expect(execute.mock.calls.map(([, { answerWithinMs }]) => answerWithinMs)).toEqual([100, 60, 20, 0]);
    execute.mockClear();
    await executeBatch(calls, requestIn("c"), execute, 1);
    expect(execute.mock.calls.map(([, { answerWithinMs }]) => answerWithinMs)).toEqual(calls.map(() => undefined));
  });

  test("without ids runs every call; with one id for two tools reports a conflict for the second", async () => {
    const { state, tool } = counted("read");
    state.go.open();
    await using app = await startExecutor([tool, aTool({ name: "other", execute: () => "other" })]);
    const unnamed = [aCall({}, { id: "" }), aCall({}, { id: "" })];
    expect((await app.executor.executeAll(unnamed, requestIn())).map(outcomeOf)).toEqual(["OK", "OK"]);
    expect(state.runs).toBe(2);
    const told: string[] = [];
    const onResult = (result: Parameters<typeof outcomeOf>[0]) => told.push(outcomeOf(result));
    const results = await app.executor.executeAll(
      [aCall(), aCall({}, { name: "other" })],
      requestIn("c", { onResult }),
    );
    expect(results.map(outcomeOf)).toEqual(["OK", "CONFLICT"]);
    expect(told).toEqual(["OK", "CONFLICT"]);
    expect(results.map(({ name }) => name)).toEqual(["work", "other"]);
  });

  test("with one id twice compares the parsed arguments: none, an empty text and an empty object are equal", async () => {
    const { state, tool } = counted("read");
    state.go.open();
    await using app = await startExecutor([tool]);
    const none = { ...aCall(), input: { case: undefined } } as ReturnType<typeof aCall>;
    const outcomes = async (...calls: ReturnType<typeof aCall>[]) =>
      (await app.executor.executeAll(calls, requestIn(""))).map(outcomeOf);
    expect(await outcomes(aCall(""), aCall({}), none, aCall("{}"), aCall(' {"a":1}'))).toEqual([
      "OK",
      "OK",
      "OK",
      "OK",
      "CONFLICT",
    ]);
    expect(await outcomes(aCall('{"a":1,"b":2}'), aCall('{"b":2,"a":1}'))).toEqual(["OK", "OK"]);
    expect(await outcomes(aCall("{"), aCall("{"), aCall("["))).toEqual([
      "INVALID_ARGUMENTS",
      "INVALID_ARGUMENTS",
      "CONFLICT",
    ]);
  });
});
