import { randomBytes } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { lookupOf } from "../../src/executor/stages/deduplicate.ts";
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import {
  createMemoryLedger,
  createMemoryLedgerServer,
  createMemoryLedgerStore,
} from "../../src/ledger/drivers/memory.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import { LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import { createResilientLedger } from "../../src/ledger/resilient-ledger.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { laterStore } from "../support/later-store.ts";
import type { Effect, Reconciled } from "../../src/plugin/tool.ts";
import { createSealer, plainSealer, type Sealer } from "../../src/store/sealer.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { aCall, aTool, caller, contextOf, gate, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";

/** Starts a call that never ends in a process that dies, and another process on the same store afterwards. */
async function crashed(
  effect: Effect,
  request = requestIn(),
  id = "call-1",
  [sealer, laterSealer] = [plainSealer, plainSealer],
) {
  const folder = scratchFolder();
  const store = await openSqliteStore({ folder: folder.path });
  const keys: string[] = [];
  const started = gate();
  const hanging = aTool({
    effect,
    timeoutMs: 60_000,
    execute: (_args, { idempotencyKey }) => (keys.push(idempotencyKey), started.open(), new Promise(() => {})),
  });
  const dead = await startExecutor([hanging], { ledger: createSqliteLedger(store, { sealer }) });
  void Promise.try(() => dead.executor.execute(aCall({ a: 1 }, { id }), request)).catch(() => {});
  await started.opened;
  const ledger = createSqliteLedger(laterStore(store), { sealer: laterSealer });
  return {
    ledger,
    keys,
    dead,
    async [Symbol.asyncDispose]() {
      await dead[Symbol.asyncDispose]();
      await store.close();
      folder[Symbol.dispose]();
    },
  };
}

describe("an unavailable ledger", () => {
  test("before the run refuses the call, and nothing runs; reads continue", async () => {
    const down = async (): Promise<never> => {
      throw new LedgerUnavailableError("down");
    };
    const ledger: Ledger = { ...createMemoryLedger(), begin: down, find: down };
    const write = vi.fn(() => 1);
    await using app = await startExecutor(
      [aTool({ effect: "write", execute: write }), aTool({ name: "look", execute: () => 2 })],
      { ledger },
    );
    await expect(app.executor.execute(aCall(), requestIn())).rejects.toThrow(
      "the store cannot be reached; nothing has been executed",
    );
    expect(write).not.toHaveBeenCalled();
    expect(app.executor.running).toBe(0);
    expect((await app.executor.execute(aCall({}, { name: "look", id: "2" }), requestIn())).output).toBe("2");
    await expect(app.executor.find("other", contextOf("c"), caller)).rejects.toThrow("the store cannot be reached");
  });

  test("after the run holds the answer back until it is durable, and callers get PENDING in time", async () => {
    const memory = createMemoryLedgerStore(createMemoryLedgerServer());
    let down = true;
    const ledger = createResilientLedger({
      ...memory,
      finish: async (claim, result, retention) => {
        if (down) throw new StoreUnavailableError("down");
        return memory.finish(claim, result, retention);
      },
    });
    const execute = vi.fn(() => "done");
    await using app = await startExecutor([aTool({ effect: "write", execute })], { ledger });
    expect(outcomeOf(await app.executor.execute(aCall(), requestIn("conversation-1", { answerWithinMs: 50 })))).toBe(
      "PENDING",
    );
    expect(ledger.pendingOutcomes).toBe(1);
    const waiting = app.executor.execute(aCall(), requestIn());
    const ended = app.executor.drain(AbortSignal.timeout(10_000));
    down = false;
    await ended;
    expect(await waiting).toMatchObject({ output: "done" });
    await using next = await startExecutor([aTool({ effect: "write", execute })], { ledger });
    expect(await next.executor.execute(aCall(), requestIn())).toMatchObject({ output: "done", replayed: true });
    expect(execute).toHaveBeenCalledTimes(1);
  });
});

describe("after a crash between intent and outcome", () => {
  test("an idempotent call runs again with the same idempotency key", async () => {
    await using before = await crashed("idempotent");
    const execute = vi.fn((_args: unknown, { idempotencyKey }: { idempotencyKey: string }) => idempotencyKey);
    await using app = await startExecutor([aTool({ effect: "idempotent", execute })], { ledger: before.ledger });
    expect(await app.executor.recover()).toBe(1);
    expect(execute.mock.calls[0]?.[0]).toEqual({ a: 1 });
    expect(await app.executor.execute(aCall({ a: 1 }), requestIn())).toMatchObject({
      output: before.keys[0],
      replayed: true,
    });
    expect(execute).toHaveBeenCalledOnce();
    expect(await app.executor.recover()).toBe(0);
  });

  test.each<[string, () => unknown, string, number]>([
    ["knows the answer", () => ({ result: { ok: 1 } }), '{"ok":1}', 0],
    ["knows that it did not happen", () => "not-done", "ran", 1],
    ["does not know", () => "unknown", uncertain, 0],
    [
      "throws",
      () => {
        throw new Error("x");
      },
      uncertain,
      0,
    ],
    ["answers with nothing", () => undefined, uncertain, 0],
    ["answers with null", () => null, uncertain, 0],
    ["never answers", () => new Promise(() => {}), uncertain, 0],
  ])(
    "a write whose reconcile %s ends accordingly, and a repeat gets the same",
    async (_what, reconcile, output, runs) => {
      await using before = await crashed("write");
      const execute = vi.fn(() => "ran");
      const tool = aTool({ effect: "write", timeoutMs: 50, execute, reconcile: reconcile as () => Reconciled });
      await using app = await startExecutor([tool], { ledger: before.ledger });
      await app.executor.recover();
      const again = await app.executor.execute(aCall({ a: 1 }), requestIn());
      expect(again).toMatchObject({ output, replayed: true, callId: "call-1", name: "work" });
      expect(outcomeOf(again)).toBe(output === uncertain ? "UNCERTAIN" : "OK");
      expect(execute).toHaveBeenCalledTimes(runs);
      expect(outcomeOf(await app.executor.execute(aCall({ a: 2 }), requestIn()))).toBe("CONFLICT");
    },
  );

  test.each<Effect>(["idempotent", "write"])(
    "a call (%s) whose key is missing is uncertain: it neither runs again nor is reconciled without arguments",
    async (effect) => {
      const sealers = ["one", "two"].map((id) => createSealer([{ id, secret: randomBytes(32) }]));
      await using before = await crashed(effect, requestIn(), "call-1", sealers as [Sealer, Sealer]);
      const [execute, reconcile] = [vi.fn(() => "ran"), vi.fn(() => "not-done" as const)];
      await using app = await startExecutor([aTool({ effect, execute, reconcile })], { ledger: before.ledger });
      expect(await app.executor.recover()).toBe(1);
      expect(await app.executor.recover()).toBe(0);
      const again = await app.executor.execute(aCall({ a: 1 }), requestIn());
      expect([outcomeOf(again), again.output]).toEqual(["UNCERTAIN", uncertain]);
      expect([execute.mock.calls, reconcile.mock.calls]).toEqual([[], []]);
    },
  );

  test.each<Effect>(["idempotent", "write"])(
    "a call (%s) without a key is uncertain: nobody knows the idempotency key that its downstream has seen",
    async (effect) => {
      await using before = await crashed(effect, requestIn("", { answerWithinMs: 0 }));
      const key = lookupOf(
        { tenant: "default", source: "test", conversationId: "", sessionId: "", runId: "" },
        "call-1",
      );
      await vi.waitFor(async () => expect(await before.ledger.find(key)).toBeDefined());
      const [execute, reconcile] = [vi.fn(() => "ran"), vi.fn(() => "not-done" as const)];
      await using app = await startExecutor([aTool({ effect, execute, reconcile })], { ledger: before.ledger });
      expect(await app.executor.recover()).toBe(1);
      const found = await app.executor.find("call-1", contextOf(""), caller);
      expect([found?.state, found?.result?.output]).toEqual([CallState.UNCERTAIN, uncertain]);
      expect([execute.mock.calls, reconcile.mock.calls]).toEqual([[], []]);
    },
  );

  test("a call whose id was generated is reconciled under the idempotency key that it had", async () => {
    await using before = await crashed("write", requestIn("c", { answerWithinMs: 0 }), "");
    const reconcile = vi.fn((_args: unknown, _context: { idempotencyKey: string }) => "unknown" as const);
    await using app = await startExecutor([aTool({ effect: "write", execute: () => 1, reconcile })], {
      ledger: before.ledger,
    });
    await vi.waitFor(async () => expect(await app.executor.recover()).toBe(1));
    expect(reconcile.mock.calls[0]?.[1].idempotencyKey).toBe(before.keys[0]);
  });

  test("a repeat that arrives before the recovery takes the call over itself", async () => {
    await using before = await crashed("write");
    const execute = vi.fn(() => "ran");
    await using app = await startExecutor([aTool({ effect: "write", execute })], { ledger: before.ledger });
    const again = await app.executor.execute(aCall({ a: 1 }), requestIn());
    expect([outcomeOf(again), again.output]).toEqual(["UNCERTAIN", uncertain]);
    expect(execute).not.toHaveBeenCalled();
  });

  test("a call whose tool is gone, or cannot work, is uncertain", async () => {
    for (const tools of [
      [],
      [
        aTool({
          effect: "write",
          open: () => {
            throw new Error("no database");
          },
          execute: () => 1,
        }),
      ],
    ]) {
      await using before = await crashed("write");
      await using app = await startExecutor(tools, { ledger: before.ledger });
      await app.executor.recover();
      expect((await app.executor.find("call-1", contextOf("conversation-1"), caller))?.result).toMatchObject({
        output: uncertain,
      });
    }
  });

  test("a read that was recorded because it took long is forgotten", async () => {
    await using before = await crashed("read", requestIn("c", { answerWithinMs: 0 }));
    await vi.waitFor(async () =>
      expect(await before.ledger.find(JSON.stringify(["default", "test", "c", "c", "call-1"]))).toBeDefined(),
    );
    await using app = await startExecutor([], { ledger: before.ledger });
    await app.executor.recover();
    expect(await app.executor.find("call-1", contextOf("c"), caller)).toBeUndefined();
  });

  test("many calls of a tool with one slot are all taken over", async () => {
    await using before = await crashed("idempotent");
    for (let id = 0; id < 8; id++)
      void Promise.try(() => before.dead.executor.execute(aCall({ a: 1 }, { id: `${id}` }), requestIn())).catch(
        () => {},
      );
    await vi.waitFor(() => expect(before.keys).toHaveLength(9));
    const settings = { limits: { concurrency: 1, queue: 1 } };
    await using app = await startExecutor([aTool({ effect: "idempotent", execute: async () => "again" })], {
      ledger: before.ledger,
      settings,
    });
    expect(await app.executor.recover()).toBe(9);
    for (let id = 0; id < 8; id++) {
      expect((await app.executor.find(`${id}`, contextOf("conversation-1"), caller))?.result?.output).toBe("again");
    }
  });

  test("a guard against repeats ends like the call that it represents", async () => {
    const folder = scratchFolder();
    await using store = {
      it: await openSqliteStore({ folder: folder.path }),
      [Symbol.asyncDispose]: async () => folder[Symbol.dispose](),
    };
    const settings = { repeatWindowMs: 60_000 };
    const started = gate();
    const hanging = aTool({
      effect: "write",
      timeoutMs: 60_000,
      execute: () => (started.open(), new Promise(() => {})),
    });
    const dead = await startExecutor([hanging], { ledger: createSqliteLedger(store.it), settings });
    void Promise.try(() => dead.executor.execute(aCall({}, { id: "a" }), requestIn())).catch(() => {});
    await started.opened;
    const execute = vi.fn(() => "ran");
    {
      await using app = await startExecutor([aTool({ effect: "write", execute })], {
        ledger: createSqliteLedger(laterStore(store.it)),
        settings,
      });
      expect(await app.executor.recover()).toBe(1);
      expect(await app.executor.execute(aCall({}, { id: "b" }), requestIn())).toMatchObject({
        callId: "b",
        output: uncertain,
      });
      expect(execute).not.toHaveBeenCalled();
    }
    await dead[Symbol.asyncDispose]();
    await store.it.close();
  });
});
