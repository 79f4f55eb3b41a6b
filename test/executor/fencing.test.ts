import { describe, expect, test, vi } from "vitest";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import {
  createMemoryLedger,
  createMemoryLedgerServer,
  type MemoryLedgerServer,
} from "../../src/ledger/drivers/memory.ts";
import { type Claim, type Ledger, LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import type { ExecutionContext, Reconciled, UnknownCall } from "../../src/plugin/tool.ts";
import { startDownstream } from "../outbound/downstream.ts";
import { aCall, aTool, caller, contextOf, gate, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";

const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";
const hourMs = 3_600_000;

/** A store whose clock the test controls. */
function startServer(): MemoryLedgerServer & { later(ms: number): void } {
  let offsetMs = 0;
  const server = createMemoryLedgerServer(() => Date.now() + offsetMs);
  return { ...server, later: (ms) => void (offsetMs += ms) };
}

/** A process on the store that seems dead to the others, like a frozen one. It continues when its tool does. */
async function frozen(server: MemoryLedgerServer, execute: (context: ExecutionContext) => unknown, url = "") {
  const ledger = createMemoryLedger({ server });
  const started = gate();
  const tool = aTool({
    effect: "write",
    timeoutMs: 60_000,
    execute: (_args, context) => (started.open(), execute(context)),
  });
  const app = await startExecutor([tool], { ledger, settings: { config: { url } } });
  const answer = Promise.resolve(app.executor.execute(aCall(), requestIn()));
  await started.opened;
  server.owners.clear();
  return { app, answer, ledger };
}

describe("a process that was considered dead", () => {
  test("returns the stored answer if the next process has found out how its call ended", async () => {
    const server = startServer();
    const go = gate();
    const before = await frozen(server, async () => (await go.opened, "mine"));
    server.later(hourMs);
    const reconcile = (): Reconciled => ({ result: "theirs" });
    await using next = await startExecutor([aTool({ effect: "write", execute: vi.fn(), reconcile })], {
      ledger: createMemoryLedger({ server }),
    });
    expect(await next.executor.recover()).toBe(1);
    go.open();
    expect(await before.answer).toMatchObject({ output: "theirs", replayed: true });
    expect((await next.executor.execute(aCall(), requestIn())).output).toBe("theirs");
    await before.app[Symbol.asyncDispose]();
  });

  test("settles a call that the next process had to leave uncertain", async () => {
    const server = startServer();
    const go = gate();
    const before = await frozen(server, async () => (await go.opened, "mine"));
    server.later(hourMs);
    await using next = await startExecutor([aTool({ effect: "write", execute: vi.fn() })], {
      ledger: createMemoryLedger({ server }),
    });
    await next.executor.recover();
    expect((await next.executor.execute(aCall(), requestIn())).output).toBe(uncertain);
    go.open();
    expect(await before.answer).toMatchObject({ output: "mine", replayed: false });
    expect(await next.executor.execute(aCall(), requestIn())).toMatchObject({ output: "mine", replayed: true });
    await before.app[Symbol.asyncDispose]();
  });

  test("waits for the next process if that is running the call again: a job takes the answer for final", async () => {
    const server = startServer();
    const [go, started, ended] = [gate(), gate(), gate()];
    const before = await frozen(server, async () => (await go.opened, "mine"));
    server.later(hourMs);
    const ledger = createMemoryLedger({ server });
    const execute = async () => (started.open(), await ended.opened, "theirs");
    const tool = aTool({ effect: "write", timeoutMs: 60_000, execute, reconcile: () => "not-done" });
    await using next = await startExecutor([tool], { ledger });
    void next.executor.recover();
    await started.opened;
    const find = vi.spyOn(before.ledger, "find");
    go.open();
    await vi.waitFor(() => expect(find).toHaveBeenCalled());
    find.mockRejectedValueOnce(new LedgerUnavailableError("away"));
    const late = await before.app.executor.execute(aCall(), requestIn("conversation-1", { answerWithinMs: 5 }));
    expect([outcomeOf(late), late.output]).toEqual([
      "PENDING",
      "The request is still being processed. Do not repeat it.",
    ]);
    ended.open();
    expect(await before.answer).toMatchObject({ output: "theirs", replayed: true });
    await before.app[Symbol.asyncDispose]();
  });

  test("stops waiting for the next process when it ends itself", async () => {
    const server = startServer();
    const [go, started] = [gate(), gate()];
    const before = await frozen(server, async () => (await go.opened, "mine"));
    server.later(hourMs);
    const execute = async () => (started.open(), await new Promise<never>(() => {}));
    const tool = aTool({ effect: "write", timeoutMs: 60_000, execute, reconcile: () => "not-done" });
    await using next = await startExecutor([tool], { ledger: createMemoryLedger({ server }) });
    void next.executor.recover();
    await started.opened;
    const find = vi.spyOn(before.ledger, "find");
    go.open();
    await vi.waitFor(() => expect(find).toHaveBeenCalled());
    await before.app.executor.drain(AbortSignal.timeout(5));
    expect(outcomeOf(await before.answer)).toBe("PENDING");
    await before.app[Symbol.asyncDispose]();
  });

  test("runs nothing and sends nothing after its time has passed", async () => {
    await using api = await startDownstream((response) => response.end("{}"));
    for (const [timeoutMs, sendUntil] of [
      [60_000, () => 0],
      [60_000, () => performance.now() + 30],
    ] as const) {
      const memory = createMemoryLedger();
      const begin: Ledger["begin"] = async (intent) => {
        const begun = await memory.begin(intent);
        if (begun.state !== "new") return begun;
        // The process was frozen after its intent was stored.
        const claim: Claim = Object.defineProperty(begun.claim, "sendUntil", { value: sendUntil() });
        return { ...begun, claim };
      };
      const execute = vi.fn(async (_args: unknown, { http, config }: ExecutionContext) => {
        const until = performance.now() + 40;
        while (performance.now() < until);
        await http((config as { url: string }).url, { method: "POST" });
      });
      await using app = await startExecutor([aTool({ effect: "write", timeoutMs, execute })], {
        ledger: { ...memory, begin },
        settings: { config: { url: api.origin } },
      });
      const answer = Promise.resolve(app.executor.execute(aCall(), requestIn()));
      if (sendUntil() === 0) {
        await expect(answer).rejects.toThrow("nothing has been executed");
        expect(app.log.join()).toContain("the intent was stored too long ago for the call to run");
        expect(execute).not.toHaveBeenCalled();
        // Its intent was released.
        expect(await memory.find(JSON.stringify(["default", "test", "c", "conversation-1", "call-1"]))).toBeUndefined();
      } else {
        expect(["FAILED", "TIMED_OUT"]).toContain(outcomeOf(await answer));
      }
    }
    expect(api.requests).toEqual([]);
  });
});

describe("recovery", () => {
  test("of a write waits until its run must have ended, and passes its start to reconcile", async () => {
    const server = startServer();
    const before = await frozen(server, () => new Promise(() => {}));
    const reconcile = vi.fn((_call: UnknownCall): Reconciled => ({ result: "found" }));
    await using next = await startExecutor([aTool({ effect: "write", execute: vi.fn(), reconcile })], {
      ledger: createMemoryLedger({ server }),
    });
    const beganAt = Date.now();
    server.later(60_000);
    expect(await next.executor.recover()).toBe(0);
    const pending = await next.executor.execute(aCall(), requestIn("conversation-1", { answerWithinMs: 20 }));
    expect(outcomeOf(pending)).toBe("PENDING");
    expect(reconcile).not.toHaveBeenCalled();
    server.later(5_000);
    await vi.waitFor(async () => expect((await next.executor.execute(aCall(), requestIn())).output).toBe("found"));
    const [{ startedAt }] = reconcile.mock.calls[0] as [UnknownCall];
    expect(Math.abs(startedAt.getTime() - beganAt)).toBeLessThan(5_000);
    await before.app[Symbol.asyncDispose]();
  });

  test("uses the effect with which a call began, not the tool's present one", async () => {
    const server = startServer();
    const before = await frozen(server, () => new Promise(() => {}));
    server.later(hourMs);
    for (const effect of ["read", "idempotent"] as const) {
      const execute = vi.fn(() => "ran again");
      await using next = await startExecutor([aTool({ effect, execute })], { ledger: createMemoryLedger({ server }) });
      await next.executor.recover();
      expect((await next.executor.find("call-1", contextOf("conversation-1"), caller))?.result?.output).toBe(uncertain);
      expect(execute).not.toHaveBeenCalled();
    }
    await before.app[Symbol.asyncDispose]();
  });

  test("logs which calls it recovers, and which stay uncertain", async () => {
    const server = startServer();
    const before = await frozen(server, () => new Promise(() => {}));
    server.later(hourMs);
    await using next = await startExecutor([aTool({ effect: "write", execute: vi.fn() })], {
      ledger: createMemoryLedger({ server }),
    });
    await next.executor.recover();
    const about = { level: 40, call: "call-1", tool: "work", effect: "write", conversation: "conversation-1" };
    expect(next.log.map((line) => JSON.parse(line) as object)).toMatchObject([
      { ...about, msg: "recovering a call whose process died" },
      { ...about, msg: "it is not known whether a recovered call took effect: check before it is repeated" },
    ]);
    await before.app[Symbol.asyncDispose]();
  });
});

describe("a failure between intent and run discards the intent", () => {
  const settings = { repeatWindowMs: 60_000 };

  test.each(["find", "begin"] as const)("in the repeat guard's %s", async (method) => {
    const memory = createMemoryLedger();
    let away = true;
    const failing: Ledger = {
      ...memory,
      [method]: async (given: never) => {
        const key = typeof given === "string" ? given : (given as { key: string }).key;
        if (away && key.startsWith("repeat ")) throw new LedgerUnavailableError("away");
        return memory[method](given);
      },
    };
    const execute = vi.fn(() => "done");
    await using app = await startExecutor([aTool({ effect: "write", execute })], { ledger: failing, settings });
    await expect(app.executor.execute(aCall(), requestIn())).rejects.toThrow("nothing has been executed");
    expect([execute.mock.calls.length, app.executor.running]).toEqual([0, 0]);
    away = false;
    expect((await app.executor.execute(aCall(), requestIn())).output).toBe("done");
    // Under a new id the request repeats the first one.
    expect(await app.executor.execute(aCall({}, { id: "2" }), requestIn())).toMatchObject({
      output: "done",
      replayed: true,
    });
  });

  test("in a call that is refused after the guard has accepted it", async () => {
    const memory = createMemoryLedger();
    const execute = vi.fn(() => "done");
    await using app = await startExecutor([aTool({ effect: "write", execute })], { ledger: memory, settings });
    await using other = await startExecutor([aTool({ effect: "write", execute: () => "other" })], { ledger: memory });
    await other.executor.execute(aCall({ a: 1 }), requestIn());
    // The id is used: CONFLICT. The guard's entry of this request must not remain.
    expect(outcomeOf(await app.executor.execute(aCall({ a: 2 }), requestIn()))).toBe("CONFLICT");
    expect((await app.executor.execute(aCall({ a: 2 }, { id: "2" }), requestIn())).output).toBe("done");
  });
});

describe("the repeat guard", () => {
  test("does not move its window from replica to replica", async () => {
    let now = 1_000_000;
    const server = createMemoryLedgerServer(() => now);
    let runs = 0;
    const tool = aTool({ effect: "write", execute: () => ++runs });
    const options = { settings: { repeatWindowMs: 4_000 }, clock: () => now };
    await using one = await startExecutor([tool], { ...options, ledger: createMemoryLedger({ server }) });
    await using two = await startExecutor([tool], { ...options, ledger: createMemoryLedger({ server }) });
    const ask = async (app: typeof one, id: string) =>
      (await app.executor.execute(aCall({}, { id }), requestIn())).output;
    expect(await ask(one, "a")).toBe("1");
    now += 3_000;
    expect([await ask(two, "b"), await ask(one, "c")]).toEqual(["1", "1"]);
    now += 2_000;
    expect(await ask(two, "d")).toBe("2");
    now += 3_000;
    expect(await ask(one, "e")).toBe("2");
  });

  test("does not repeat a failure without effect", async () => {
    let runs = 0;
    const execute = () => {
      if (++runs === 1) throw new Error("no luck");
      return runs;
    };
    const reconcile = (): Reconciled => "not-done";
    await using app = await startExecutor([aTool({ effect: "write", execute, reconcile })], {
      settings: { repeatWindowMs: 60_000 },
    });
    expect((await app.executor.execute(aCall({}, { id: "a" }), requestIn())).outcome).toBe(Outcome.FAILED);
    expect(await app.executor.execute(aCall({}, { id: "b" }), requestIn())).toMatchObject({
      output: "2",
      replayed: false,
    });
  });
});
