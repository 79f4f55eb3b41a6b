import { describe, expect, test, vi } from "vitest";
import { cancellationFromSignal } from "../../src/executor/cancellation.ts";
import { aCall, aTool, gate, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";

const never = (): Promise<never> => new Promise(() => {});

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
    const ask = (how: string, id: string) => app.executor.execute(aCall({ how }, { id }), requestIn());
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
    const ask = (at: typeof app, a: number, id: string) => at.executor.execute(aCall({ a }, { id }), requestIn());
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
    void app.executor.execute(aCall({}, { id: "1" }), requestIn("c", { answerWithinMs: 1 }));
    const leave = new AbortController();
    const queued = app.executor.execute(
      aCall({}, { id: "2" }),
      requestIn("c", { cancellation: cancellationFromSignal(leave.signal) }),
    );
    leave.abort();
    await expect(queued).rejects.toThrow("gone away");
    // Its position in the queue is free again.
    const next = app.executor.execute(aCall({}, { id: "3" }), requestIn("c", { answerWithinMs: 1 }));
    expect(outcomeOf(await next)).toBe("PENDING");
    expect(execute).toHaveBeenCalledOnce();
  });
});
