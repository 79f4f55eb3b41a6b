import { describe, expect, test, vi } from "vitest";
import { createMemoryLedger, createMemoryLedgerServer } from "../../src/ledger/drivers/memory.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import { ToolError } from "../../src/plugin/tool-error.ts";
import type { Effect, ToolDefinition } from "../../src/plugin/tool.ts";
import {
  aCall,
  aTool,
  caller,
  contextOf,
  type ExecutorUnderTest,
  gate,
  outcomeOf,
  startExecutor,
  requestIn,
} from "../support/executor.ts";

const settings = { repeatWindowMs: 60_000 };
const never = (): Promise<never> => new Promise(() => {});

const ask = async (
  { executor }: Pick<ExecutorUnderTest, "executor">,
  id: string,
  args: object = {},
  conversation = "c",
) => await executor.execute(aCall(args, { id }), requestIn(conversation));

describe("the repeat window", () => {
  test.each<Effect>(["read", "write"])("of a %s ends after exactly its duration", async (effect) => {
    let now = 1_000_000;
    let runs = 0;
    const clock = () => now;
    await using app = await startExecutor([aTool({ effect, execute: () => (runs += 1) })], {
      ledger: createMemoryLedger({ clock }),
      settings: { repeatWindowMs: 4_000 },
      clock,
    });
    expect((await ask(app, "a")).output).toBe("1");
    now += 3_999;
    expect(await ask(app, "b")).toMatchObject({ output: "1", replayed: true });
    now += 1;
    expect(await ask(app, "c")).toMatchObject({ output: "2", replayed: false });
    now += 3_999;
    expect((await ask(app, "d")).output).toBe("2");
  });

  test("counts from the ledger's entry in a process without an entry of its own", async () => {
    let now = 1_000_000;
    let runs = 0;
    const clock = () => now;
    const server = createMemoryLedgerServer(clock);
    const start = () =>
      startExecutor([aTool({ effect: "write", execute: () => (runs += 1) })], {
        ledger: createMemoryLedger({ server }),
        settings: { repeatWindowMs: 4_000 },
        clock,
      });
    await using one = await start();
    await using two = await start();
    await ask(one, "a");
    now += 3_999;
    expect((await ask(two, "b")).output).toBe("1");
    now += 1;
    expect((await ask(two, "c")).output).toBe("2");
  });

  test("does not end while the first call runs", async () => {
    let now = 1_000_000;
    const go = gate();
    const execute = vi.fn(async () => (await go.opened, "done"));
    await using app = await startExecutor([aTool({ timeoutMs: 60_000, execute })], { settings, clock: () => now });
    const first = ask(app, "a");
    now += 120_000;
    const second = ask(app, "b");
    go.open();
    expect((await first).output).toBe("done");
    expect(await second).toMatchObject({ callId: "b", output: "done", replayed: true });
    expect(execute).toHaveBeenCalledOnce();
  });

  test("applies per tool, conversation and caller, and not without a conversation", async () => {
    let runs = 0;
    const execute = () => (runs += 1);
    await using app = await startExecutor([aTool({ execute }), aTool({ name: "other", execute })], { settings });
    await ask(app, "1");
    await app.executor.execute(aCall({}, { id: "2", name: "other" }), requestIn("c"));
    for (const change of [{ name: "someone" }, { tenant: "someone" }]) {
      await app.executor.execute(aCall({}, { id: "3" }), requestIn("c", { caller: { ...caller, ...change } }));
    }
    for (const id of ["4", "5"]) await ask(app, id, {}, "");
    expect(runs).toBe(6);
  });

  test("is kept for the latest requests only", async () => {
    let runs = 0;
    await using app = await startExecutor([aTool({ execute: () => (runs += 1) })], { settings, recentEntries: 2 });
    for (const n of [1, 2, 3]) await ask(app, `${n}`, { n });
    expect((await ask(app, "4", { n: 3 })).output).toBe("3");
    expect((await ask(app, "5", { n: 2 })).output).toBe("2");
    expect((await ask(app, "6", { n: 1 })).output).toBe("4");
  });
});

describe("the answer to a repeat", () => {
  test("is that of the next run if the first one failed, for all waiting callers", async () => {
    let runs = 0;
    const go = gate();
    const execute = async (): Promise<number> => {
      runs += 1;
      await go.opened;
      if (runs === 1) throw new ToolError("no luck");
      return new Promise((resolve) => setImmediate(resolve, runs));
    };
    await using app = await startExecutor([aTool({ execute })], { settings });
    const answers = ["a", "b", "c", "d"].map((id) => ask(app, id));
    go.open();
    expect((await Promise.all(answers)).map(({ output }) => output)).toEqual(["no luck", "2", "2", "2"]);
    expect(runs).toBe(2);
  });

  test.each<[string, Partial<ToolDefinition>, () => unknown, string]>([
    ["does not fit the schema", { outputSchema: { type: "string" } }, () => 1, "INVALID_OUTPUT"],
    ["is not known", { timeoutMs: 5 }, never, "UNCERTAIN"],
  ])("is the first one's, even if that %s", async (_what, definition, act, outcome) => {
    const execute = vi.fn(act);
    await using app = await startExecutor([aTool({ effect: "write", ...definition, execute })], { settings });
    expect(outcomeOf(await ask(app, "a"))).toBe(outcome);
    const again = await ask(app, "b");
    expect([outcomeOf(again), again.callId, again.replayed]).toEqual([outcome, "b", true]);
    expect(execute).toHaveBeenCalledOnce();
  });

  test("is stored under its own id as well", async () => {
    await using app = await startExecutor([aTool({ effect: "write", execute: () => "done" })], { settings });
    await ask(app, "a");
    await ask(app, "b");
    await using other = await startExecutor([], { ledger: app.ledger });
    expect((await other.executor.find("b", contextOf("c"), caller))?.result).toMatchObject({
      callId: "b",
      output: "done",
    });
  });

  test("is updated by a write that returns after its deadline", async () => {
    const go = gate();
    const tool = aTool({ effect: "write", timeoutMs: 5, execute: async () => (await go.opened, "done") });
    await using app = await startExecutor([tool], { settings });
    expect(outcomeOf(await ask(app, "a"))).toBe("UNCERTAIN");
    go.open();
    const find = () => app.executor.find("a", contextOf("c"), caller);
    await vi.waitFor(async () => expect((await find())?.result?.output).toBe("done"));
    expect((await find())?.result).toMatchObject({ attempts: 1, duration: { nanos: expect.any(Number) as number } });
    expect(app.log.join()).toContain("a call whose outcome was not known has returned after all");
    await using other = await startExecutor([tool], { ledger: app.ledger, settings });
    expect(await ask(other, "b")).toMatchObject({ output: "done", replayed: true });
  });

  test("is erased with its conversation, unless the first call still runs", async () => {
    let runs = 0;
    const go = gate();
    const execute = async ({ wait }: { wait?: boolean }) => {
      runs += 1;
      if (wait === true) await go.opened;
      return runs;
    };
    await using app = await startExecutor([aTool({ execute })], { settings });
    await ask(app, "1");
    await ask(app, "2", {}, "d");
    const waiting = ask(app, "3", { wait: true });
    await app.executor.erase({ tenant: "default", conversationId: "c" });
    const joining = ask(app, "4", { wait: true });
    expect((await ask(app, "5", {}, "d")).replayed).toBe(true);
    expect((await ask(app, "6")).replayed).toBe(false);
    go.open();
    await waiting;
    expect((await joining).replayed).toBe(true);
  });

  test("from another process is no longer awaited when this one drains", async () => {
    const tool = aTool({ effect: "write", timeoutMs: 60_000, execute: never });
    const app = await startExecutor([tool], { settings });
    const begin = vi.fn(app.ledger.begin);
    const other = await startExecutor([tool], { settings, ledger: { ...app.ledger, begin } });
    void ask(app, "a");
    await vi.waitFor(() => expect(app.executor.running).toBe(1));
    const waiting = ask(other, "b");
    await vi.waitFor(() => expect(begin).toHaveBeenCalled());
    await other.executor.drain(AbortSignal.abort());
    expect(outcomeOf(await waiting)).toBe("CANCELLED");
    await app[Symbol.asyncDispose]();
  });
});

describe("a process that died between the guard's entry and the call's", () => {
  /** A replica whose requests of one kind never reach the store, until it is dead. */
  async function dying(method: "begin" | "finish", isLost: (key: string) => boolean) {
    let offsetMs = 0;
    const server = createMemoryLedgerServer(() => Date.now() + offsetMs);
    const ledger = createMemoryLedger({ server });
    const lost = gate();
    const losing: Ledger = {
      ...ledger,
      [method]: (given: { key: string }, ...rest: never[]) => {
        if (!isLost(given.key)) return (ledger[method] as (...all: unknown[]) => unknown)(given, ...rest);
        lost.open();
        return never();
      },
    };
    const dead = await startExecutor([aTool({ effect: "write", execute: () => "first" })], {
      ledger: losing,
      settings,
    });
    void ask(dead, "a");
    await lost.opened;
    offsetMs += 3_600_000;
    server.owners.clear();
    const app = await startExecutor([aTool({ effect: "write", execute: () => "again" })], {
      ledger: createMemoryLedger({ server }),
      settings: { repeatWindowMs: 7_200_000 },
      clock: () => Date.now() + offsetMs,
    });
    return { app, dead };
  }
  const isGuard = (key: string): boolean => key.startsWith("repeat ");

  test.each([["at the next request"], ["by recovery"]])(
    "leaves the answer of a call that has ended, found %s",
    async (how) => {
      const { app, dead } = await dying("finish", isGuard);
      if (how === "by recovery") expect(await app.executor.recover()).toBe(0);
      expect(await ask(app, "b")).toMatchObject({ callId: "b", output: "first", replayed: true });
      await Promise.all([app, dead].map((one) => one[Symbol.asyncDispose]()));
    },
  );

  test.each([["at the next request"], ["by recovery"]])(
    "leaves nothing of a call that has not begun, so that a repeat runs, %s",
    async (how) => {
      const { app, dead } = await dying("begin", (key) => !isGuard(key));
      if (how === "by recovery") expect(await app.executor.recover()).toBe(0);
      expect(await ask(app, "b")).toMatchObject({ output: "again", replayed: false });
      await Promise.all([app, dead].map((one) => one[Symbol.asyncDispose]()));
    },
  );
});
