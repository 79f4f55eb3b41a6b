import { describe, expect, test, vi } from "vitest";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { executeBatch } from "../../src/executor/batch.ts";
import { errorResult } from "../../src/executor/tool-result.ts";
import { ToolError } from "../../src/plugin/tool-error.ts";
import type { Effect } from "../../src/plugin/tool.ts";
import { aCall, aTool, gate, outcomeOf, startExecutor, within } from "../support/executor.ts";
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
  testRequirement(["000.7", "001.7"], "goes on when calls fail, and answers in request order", async () => {
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
    const results = await app.executor.executeAll(calls, within("c", { onResult }));
    expect(results.map(({ output }) => output)).toEqual([
      "40",
      "no such order",
      "Unknown tool: nope",
      "other",
      "Invalid JSON in arguments for work",
    ]);
    expect(ended.at(-1)).toBe("a");
  });

  testRequirement("000.11", "runs its calls side by side, 16 at most", async () => {
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
      within(),
    );
    expect(most).toBe(16);
  });

  test("that contains an id twice runs it once; with other arguments the second is a conflict", async () => {
    const { state, tool } = counted("write");
    state.go.open();
    await using app = await startExecutor([tool]);
    const results = await app.executor.executeAll([aCall({ a: 1 }), aCall('{"a":1}'), aCall({ a: 2 })], within(""));
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
      const results = await app.executor.executeAll([aCall(first, { id, name: "none" }), ...calls], within());
      expect(results.map(outcomeOf)).toEqual(["UNKNOWN_TOOL", ...calls.map(() => "CONFLICT")]);
      return reads;
    };
    const once = await run(1);
    expect(once).toBeGreaterThan(0);
    expect(await run(60)).toBe(once);
  });

  test("whose calls take long to start gives other requests a turn in between", async () => {
    let now = 0;
    using _clock = vi.spyOn(performance, "now").mockImplementation(() => now);
    let turn = 0;
    let running = true;
    const count = (): void => {
      turn += 1;
      if (running) setImmediate(count);
    };
    setImmediate(count);
    const turnsWhere = async (msEach: number): Promise<number[]> => {
      const turns: number[] = [];
      const calls = Array.from({ length: 12 }, (_, index) => aCall({}, { id: `${index}` }));
      await executeBatch(
        calls,
        within(),
        (call) => {
          now += msEach;
          turns.push(turn);
          return errorResult({ call }, Outcome.FAILED, "no");
        },
        16,
      );
      return turns;
    };
    expect(new Set(await turnsWhere(0)).size).toBe(1);
    expect(Math.max(...[...Map.groupBy(await turnsWhere(6), String).values()].map(({ length }) => length))).toBe(2);
    running = false;
  });

  test("rejects after all calls have ended if one could not be executed, and reports their results anyway", async () => {
    const calls = ["1", "2", "3"].map((id) => aCall({}, { id }));
    const told: string[] = [];
    const batch = executeBatch(
      calls,
      within("c", { onResult: ({ callId }) => told.push(callId) }),
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
    const results = await app.executor.executeAll([aCall({ deep }), aCall({ deep })], within());
    expect(results.map(outcomeOf)).toEqual(["INVALID_ARGUMENTS", "INVALID_ARGUMENTS"]);
  });
});
