import { describe, expect, test, vi } from "vitest";
import { cancellationFromSignal } from "../../src/executor/cancellation.ts";
import { aCall, aTool, outcomeOf, requestIn, startExecutor } from "../support/executor.ts";
import { countTurns } from "../support/count-turns.ts";

const large = "x".repeat(40_000);

/** Runs a call and returns the turns in which its arguments are checked, its tool runs and its output is shaped. */
async function turnsOf(text: string): Promise<number[]> {
  using counter = countTurns();
  const turns: number[] = [];
  const record = (): number => turns.push(counter.turn);
  const tool = aTool({
    execute() {
      record();
      return { toJSON: record };
    },
  });
  await using app = await startExecutor([tool]);
  const args = {
    text,
    get last() {
      // Read again to be copied, after it has been checked.
      if (turns.length === 0) record();
      return 1;
    },
  };
  expect(outcomeOf(await app.executor.execute(aCall(args), requestIn()))).toBe("OK");
  return turns;
}

describe("the stages of a call", () => {
  test("with large arguments leave turns to other requests", async () => {
    const turns = await turnsOf(large);
    expect(turns.length).toBe(3);
    expect(new Set(turns).size).toBe(3);
  });

  test("with small arguments run in one turn", async () => {
    expect(new Set(await turnsOf("x")).size).toBe(1);
  });

  test("of large calls that start together run in separate turns if they take long, whatever batch they are in", async () => {
    let now = 0;
    using _clock = vi.spyOn(performance, "now").mockImplementation(() => now);
    using counter = countTurns();
    const parsed: number[] = [];
    const ran: number[] = [];
    const parse = JSON.parse;
    using _parse = vi.spyOn(JSON, "parse").mockImplementation((text: string) => {
      if (text.includes(large)) {
        now += 6;
        parsed.push(counter.turn);
      }
      return parse(text) as unknown;
    });
    const tool = aTool({
      execute() {
        now += 6;
        return ran.push(counter.turn);
      },
    });
    await using app = await startExecutor([tool]);
    const batch = (name: string) =>
      app.executor.executeAll(
        ["1", "2"].map((id) => aCall(`{"text":"${large}"}`, { id: name + id })),
        requestIn(),
      );
    const results = (await Promise.all([batch("a"), batch("b")])).flat();
    expect(results.map(outcomeOf)).toEqual(["OK", "OK", "OK", "OK"]);
    expect(new Set(parsed).size).toBe(4);
    expect(new Set(ran).size).toBe(4);
  });

  test("with large arguments leave a repeat of the call to join it", async () => {
    const execute = vi.fn(() => "done");
    await using app = await startExecutor([aTool({ execute })]);
    const args = JSON.stringify({ text: large });
    const call = () => app.executor.execute(aCall(args, { id: "same" }), requestIn("c"));
    const results = await Promise.all([call(), call(), call()]);
    expect(results.map(({ output }) => output)).toEqual(["done", "done", "done"]);
    expect(execute).toHaveBeenCalledOnce();
  });

  test("with large arguments are not run once the caller has gone before the tool's turn", async () => {
    const execute = vi.fn(() => "done");
    await using app = await startExecutor([aTool({ execute })]);
    const leaving = new AbortController();
    const cancellation = cancellationFromSignal(leaving.signal);
    const answer = app.executor.execute(aCall(JSON.stringify({ text: large })), requestIn("c", { cancellation }));
    leaving.abort();
    await expect(answer).rejects.toThrow("canceled");
    await app.executor.drain(new AbortController().signal);
    expect(execute).not.toHaveBeenCalled();
  });
});
