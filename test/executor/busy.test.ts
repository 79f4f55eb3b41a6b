import { describe, expect, test, vi } from "vitest";
import {
  createMemoryLedger,
  createMemoryLedgerServer,
  type MemoryLedgerServer,
} from "../../src/ledger/drivers/memory.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import type { Reconciled, ToolDefinition } from "../../src/plugin/tool.ts";
import { ToolError } from "../../src/plugin/tool-error.ts";
import {
  aCall,
  aTool,
  caller,
  contextOf,
  type ExecutorOptions,
  gate,
  outcomeOf,
  startExecutor,
  requestIn,
} from "../support/executor.ts";

const never = (): Promise<never> => new Promise(() => {});

/** A replica on the store. */
function replica(
  server: MemoryLedgerServer,
  definition: Partial<ToolDefinition> & Pick<ToolDefinition, "execute">,
  options: ExecutorOptions = {},
) {
  return startExecutor([aTool(definition)], { ledger: createMemoryLedger({ server }), ...options });
}

describe("a busy tool", () => {
  const settings = { limits: { concurrency: 1, queue: 0 } };

  test("rejects reads without reading the store", async () => {
    const find = vi.fn(async (): Promise<never> => never());
    await using app = await startExecutor([aTool({ execute: never })], {
      ledger: { ...createMemoryLedger(), find },
      settings,
    });
    void app.executor.execute(aCall({}, { id: "1" }), requestIn("c", { answerWithinMs: 0 }));
    expect(outcomeOf(await app.executor.execute(aCall({}, { id: "2" }), requestIn("c")))).toBe("OVERLOADED");
    expect(find).not.toHaveBeenCalled();
  });

  test("compares a call with the entry of another process, and rejects one that failed there", async () => {
    const server = createMemoryLedgerServer();
    const go = gate();
    const definition = {
      effect: "idempotent" as const,
      execute: async ({ how }: { how?: string }) => {
        await go.opened;
        if (how === "throw") throw new ToolError("no luck");
        return how === "hang" ? never() : "done";
      },
    };
    const [one, two] = [await replica(server, definition), await replica(server, definition, { settings })];
    const waiting = Promise.resolve(one.executor.execute(aCall({}, { id: "1" }), requestIn("c")));
    const failing = aCall({ how: "throw" }, { id: "2" });
    expect(outcomeOf(await one.executor.execute(failing, requestIn("c", { answerWithinMs: 0 })))).toBe("PENDING");
    void two.executor.execute(aCall({ how: "hang" }, { id: "3" }), requestIn("c", { answerWithinMs: 0 }));
    const ask = async (call: ReturnType<typeof aCall>) => outcomeOf(await two.executor.execute(call, requestIn("c")));
    expect(await ask(aCall({ how: "other" }, { id: "1" }))).toBe("CONFLICT");
    go.open();
    expect(outcomeOf(await waiting)).toBe("OK");
    expect(await ask(aCall({}, { id: "1" }))).toBe("OK");
    await one.executor.wait("2", contextOf("c"), caller, AbortSignal.timeout(5000));
    expect(await ask(failing)).toBe("OVERLOADED");
    await Promise.all([one, two].map((app) => app[Symbol.asyncDispose]()));
  });

  test("rejects a call that waited for another process in vain", async () => {
    const server = createMemoryLedgerServer();
    const [go, hold] = [gate(), gate()];
    const one = await replica(server, {
      effect: "idempotent",
      execute: async () => {
        await go.opened;
        throw new ToolError("no luck");
      },
    });
    const execute = vi.fn(async () => (await hold.opened, "held"));
    const ledger = createMemoryLedger({ server });
    const begin = vi.fn(ledger.begin);
    const two = await replica(server, { effect: "idempotent", execute }, { ledger: { ...ledger, begin }, settings });
    const first = one.executor.execute(aCall(), requestIn("c"));
    await vi.waitFor(() => expect(server.entries.size).toBe(1));
    const waiting = two.executor.execute(aCall(), requestIn("c"));
    await vi.waitFor(() => expect(begin).toHaveBeenCalled());
    // Its slot is free between two reads of the store.
    let tries = 0;
    const holdSlot = () =>
      two.executor.execute(aCall({}, { id: `hold-${(tries += 1)}` }), requestIn("c", { answerWithinMs: 0 }));
    await vi.waitFor(async () => expect(outcomeOf(await holdSlot())).toBe("PENDING"));
    go.open();
    expect(outcomeOf(await first)).toBe("FAILED");
    expect(outcomeOf(await waiting)).toBe("OVERLOADED");
    expect(execute).toHaveBeenCalledOnce();
    hold.open();
    await Promise.all([one, two].map((app) => app[Symbol.asyncDispose]()));
  });

  test("computes when to try again from the duration of runs, not of calls that did not run", async () => {
    const clock = vi.spyOn(performance, "now");
    try {
      let now = 1000;
      clock.mockImplementation(() => now);
      const hold = gate();
      const execute = async ({ ms, wait }: { ms?: number; wait?: boolean }) => {
        now += ms ?? 0;
        if (wait === true) await hold.opened;
      };
      await using app = await startExecutor([aTool({ effect: "write", timeoutMs: 600_000, execute })], { settings });
      const ask = (args: object, id: string) => app.executor.execute(aCall(args, { id }), requestIn("c"));
      await ask({ ms: 80_000 }, "1");
      // An answer from the store: it had a slot, and did not run.
      now += 500_000;
      await using other = await startExecutor([aTool({ effect: "write", execute: () => 1 })], { ledger: app.ledger });
      await other.executor.execute(aCall({}, { id: "stored" }), requestIn("c"));
      expect((await ask({}, "stored")).replayed).toBe(true);
      const holding = ask({ wait: true }, "2");
      await vi.waitFor(() => expect(app.executor.running).toBe(1));
      await vi.waitFor(async () =>
        expect((await ask({}, "3")).output).toBe("This tool is busy. Try again in 10 seconds."),
      );
      hold.open();
      await holding;
    } finally {
      clock.mockRestore();
    }
  });
});

describe("a draining process", () => {
  test("does not start a call whose intent was stored after the drain, and releases the intent", async () => {
    const memory = createMemoryLedger();
    const stored = gate();
    const begin: Ledger["begin"] = async (intent) => {
      const begun = await memory.begin(intent);
      await stored.opened;
      return begun;
    };
    const execute = vi.fn(() => 1);
    await using app = await startExecutor([aTool({ effect: "write", execute })], { ledger: { ...memory, begin } });
    const answer = app.executor.execute(aCall(), requestIn("c"));
    await app.executor.drain(AbortSignal.abort());
    stored.open();
    expect(outcomeOf(await answer)).toBe("CANCELLED");
    expect(execute).not.toHaveBeenCalled();
    expect(await app.executor.find("call-1", contextOf("c"), caller)).toBeUndefined();
  });

  test("does not reconcile a write that it stops, and does not abort the signal of a run that has ended", async () => {
    const asked = gate();
    const signals: AbortSignal[] = [];
    const reconcile = vi.fn((): Promise<Reconciled> => (asked.open(), never()));
    const tool = aTool({
      effect: "write",
      timeoutMs: 60_000,
      execute: ({ fail }: { fail?: boolean }, { signal }) => {
        signals.push(signal);
        if (fail === true) return Promise.reject(new Error("lost"));
        return never();
      },
      reconcile,
    });
    await using app = await startExecutor([tool]);
    const [failed, stopped] = [true, false].map((fail) =>
      Promise.resolve(app.executor.execute(aCall({ fail }, { id: `${fail}` }), requestIn("c"))),
    );
    await asked.opened;
    await vi.waitFor(() => expect(signals).toHaveLength(2));
    await app.executor.drain(AbortSignal.abort());
    expect(await Promise.all([failed!, stopped!].map(async (answer) => outcomeOf(await answer)))).toEqual([
      "UNCERTAIN",
      "UNCERTAIN",
    ]);
    expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
    expect(signals[1]?.reason).toMatchObject({
      name: "AbortError",
      message: "The call was cancelled: no caller is waiting.",
    });
    expect(reconcile).toHaveBeenCalledOnce();
  });
});
