import { describe, expect, test, vi } from "vitest";
import { createSqliteLedger } from "../../src/ledger/drivers/sqlite.ts";
import { createMemoryLedgerServer, createMemoryLedgerStore } from "../../src/ledger/drivers/memory.ts";
import { createResilientLedger } from "../../src/ledger/resilient-ledger.ts";
import type { Effect } from "../../src/plugin/tool.ts";
import { laterStore } from "../support/later-store.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { callScopeFrom } from "../../src/executor/execution.ts";
import { callKey } from "../../src/executor/stages/deduplicate.ts";
import { aCall, aTool, caller, gate, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";

describe("draining", () => {
  test("takes over no more calls of dead processes: running recoveries end, the rest is left to others", async () => {
    const server = createMemoryLedgerServer();
    const dead = createResilientLedger(createMemoryLedgerStore(server));
    const hanging = await startExecutor([aTool({ effect: "idempotent", execute: () => new Promise(() => {}) })], {
      ledger: dead,
    });
    for (let id = 0; id < 40; id++)
      void Promise.try(() => hanging.executor.execute(aCall({}, { id: `call-${id}` }), requestIn())).catch(() => {});
    await expect.poll(() => hanging.executor.running).toBe(40);
    await dead.close();
    const [started, released] = [gate(), gate()];
    const execute = vi.fn(() => (started.open(), released.opened));
    await using app = await startExecutor([aTool({ effect: "idempotent", execute })], {
      ledger: createResilientLedger(createMemoryLedgerStore(server)),
    });
    const recovered = app.executor.recover();
    await started.opened;
    const drained = app.executor.drain(AbortSignal.timeout(10_000));
    released.open();
    expect(await recovered).toBe(32);
    await drained;
    expect(await app.executor.recover()).toBe(0);
  });

  test("refuses new calls and waits for running ones, including whole batches", async () => {
    const go = gate();
    await using app = await startExecutor([aTool({ execute: async () => (await go.opened, "done") })]);
    const calls = Array.from({ length: 40 }, (_, index) => aCall({}, { id: `${index}` }));
    const batch = app.executor.executeAll(calls, requestIn());
    const drained = app.executor.drain(AbortSignal.timeout(10_000));
    await expect(app.executor.execute(aCall(), requestIn())).rejects.toThrow("the service is shutting down");
    await expect(app.executor.executeAll([], requestIn())).rejects.toThrow("the service is shutting down");
    let over = false;
    void batch.then(() => (over = true));
    go.open();
    await drained;
    await new Promise((resolve) => setImmediate(resolve));
    expect(over).toBe(true);
  });

  test("stops running calls at its end; an interrupted write never counts as one that did not run", async () => {
    const folder = scratchFolder();
    const store = await openSqliteStore({ folder: folder.path });
    const settings = { limits: { concurrency: 1, queue: 1 } };
    const execute = vi.fn(() => new Promise(() => {}));
    const app = await startExecutor([aTool({ effect: "write", execute })], {
      ledger: createSqliteLedger(store),
      settings,
    });
    const [running, queued] = [
      app.executor.execute(aCall(), requestIn()),
      app.executor.execute(aCall({}, { id: "2" }), requestIn()),
    ];
    await vi.waitFor(() => expect(execute).toHaveBeenCalledOnce());
    await app.executor.drain(AbortSignal.timeout(5));
    const stopped = await running;
    expect([outcomeOf(stopped), stopped.output]).toEqual(["UNCERTAIN", uncertain]);
    expect(outcomeOf(await queued)).toBe("CANCELLED");
    await app[Symbol.asyncDispose]();
    // The next process calls `reconcile`, and does not run it again.
    const again = vi.fn(() => "ran");
    {
      const tool = aTool({ effect: "write", execute: again, reconcile: () => ({ result: "it took effect" }) });
      await using next = await startExecutor([tool], { ledger: createSqliteLedger(laterStore(store)) });
      expect(await next.executor.recover()).toBe(1);
      expect((await next.executor.execute(aCall(), requestIn())).output).toBe("it took effect");
      expect(again).not.toHaveBeenCalled();
      expect((await next.executor.execute(aCall({}, { id: "2" }), requestIn())).output).toBe("ran");
    }
    await store.close();
    folder[Symbol.dispose]();
  });

  test.each<[Effect, string]>([
    ["idempotent", "ran again"],
    ["write", "it took effect"],
  ])(
    "leaves the repeat guard of an interrupted call (%s) to the next process: the same request under another id gets its answer",
    async (effect, output) => {
      let now = 1_000_000;
      const clock = () => now;
      const server = createMemoryLedgerServer(clock);
      const settings = { repeatWindowMs: 60_000 };
      const started = gate();
      const hanging = aTool({ effect, execute: () => (started.open(), new Promise(() => {})) });
      const ledger = createResilientLedger(createMemoryLedgerStore(server));
      const app = await startExecutor([hanging], { ledger, settings, clock });
      const stopped = app.executor.execute(aCall({}, { id: "a" }), requestIn());
      await started.opened;
      await app.executor.drain(AbortSignal.timeout(5));
      await stopped;
      await ledger.close();
      await app[Symbol.asyncDispose]();
      // The run of a write must have ended.
      now += 30_000;
      const again = vi.fn(() => "ran again");
      const tool = aTool({ effect, execute: again, reconcile: () => ({ result: "it took effect" }) });
      const later = createResilientLedger(createMemoryLedgerStore(server));
      const find = vi.spyOn(later, "find");
      await using next = await startExecutor([tool], { ledger: later, settings, clock });
      const scope = callScopeFrom(requestIn().context, caller);
      const repeat = next.executor.execute(aCall({}, { id: "b" }), requestIn());
      await vi.waitFor(() => expect(find).toHaveBeenCalledWith(callKey(scope, "a")));
      expect(await next.executor.recover()).toBe(1);
      expect(await repeat).toMatchObject({ callId: "b", output, replayed: true });
      expect(again).toHaveBeenCalledTimes(effect === "write" ? 0 : 1);
    },
  );
});
