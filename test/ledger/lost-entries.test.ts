import { expect, test } from "vitest";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { createMemoryLedger } from "../../src/ledger/drivers/memory.ts";
import type { ErasureListener } from "../../src/ledger/ledger.ts";
import type { LedgerStore } from "../../src/ledger/ledger-store.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { faulty } from "./faulty.ts";
import { aResult, anIntent, beginNew } from "./samples.ts";

/** A ledger on a server that may lose entries and reports its return, with outcomes remembered for a minute. */
function forgetful(faults: (store: LedgerStore) => Partial<LedgerStore> = () => ({})) {
  let elapsed = 0;
  let listener: (() => Promise<void>) | undefined;
  const tried = faulty(
    (store) => ({
      ...faults(store),
      onReturn(called) {
        listener = called;
        return () => (listener = undefined);
      },
    }),
    { rememberMs: 60_000, monotonic: () => elapsed },
  );
  return {
    ...tried,
    lose: (...keys: string[]) => keys.forEach((key) => tried.server.entries.delete(key)),
    /** The server answers again after an outage. */
    back: async () => await listener?.(),
    wait: (ms: number) => (elapsed += ms),
    get listens() {
      return listener !== undefined;
    },
  };
}

test("a server that is back gets the outcomes of the last minute, with a log line for each that it had lost", async () => {
  const { ledger, lose, back, wait, lines } = forgetful();
  const [old, lost, kept] = [anIntent(), anIntent(), anIntent()];
  await ledger.finish(await beginNew(ledger, old), aResult("old"), "replay");
  wait(1);
  for (const intent of [lost, kept]) await ledger.finish(await beginNew(ledger, intent), aResult("kept"), "replay");
  wait(60_000);
  lose(old.key, lost.key);
  await back();
  expect(await ledger.find(old.key)).toBeUndefined();
  expect(await ledger.find(lost.key)).toMatchObject({ state: "done", result: { output: "kept" } });
  expect(lines).toEqual([
    `warn the store had lost an outcome: it was written again ${JSON.stringify({ tool: lost.tool, call: lost.callId })}`,
  ]);
  expect((await ledger.begin(lost)).state).toBe("ended");
});

test("a server that is back gets the running calls, with a log line for each that it had lost, and no ended ones", async () => {
  const { ledger, lose, back, lines } = forgetful();
  const [lost, kept, released, shown] = [anIntent(), anIntent(), anIntent(), anIntent()];
  const claim = await beginNew(ledger, lost);
  await beginNew(ledger, kept);
  await ledger.release(await beginNew(ledger, released));
  await ledger.finish(await beginNew(ledger, shown), aResult(), "show");
  lose(lost.key, shown.key);
  await back();
  expect((await ledger.find(lost.key))?.state).toBe("running");
  expect(lines).toEqual([
    `warn the store had lost a running call: it was written again ${JSON.stringify({ tool: lost.tool, call: lost.callId })}`,
  ]);
  for (const { key } of [released, shown]) expect(await ledger.find(key)).toBeUndefined();
  expect((await ledger.begin(lost)).state).toBe("running");
  expect(await ledger.finish(claim, aResult("ended"), "replay")).toEqual({ state: "stored" });
  expect((await ledger.find(lost.key))?.result?.output).toBe("ended");
});

test("a running call that another owner has taken over stays that owner's", async () => {
  const { ledger, server, lose, back, lines } = forgetful();
  const intent = anIntent({ effect: "idempotent" });
  const claim = await beginNew(ledger, intent);
  lose(intent.key);
  const other = createMemoryLedger({ server });
  await beginNew(other, intent);
  await other.close();
  await back();
  // The next caller gets it, and not this owner, whose run continues.
  const heir = createMemoryLedger({ server });
  expect((await heir.begin(intent)).state).toBe("abandoned");
  expect(await ledger.finish(claim, aResult(), "replay")).toMatchObject({ state: "superseded" });
  expect(lines).toEqual([]);
});

test("a running call that another owner has ended and that was erased is not written again", async () => {
  const { ledger, server, lose, back, lines } = forgetful();
  const [erased, lost] = [anIntent(), anIntent()];
  const claims = [await beginNew(ledger, erased), await beginNew(ledger, lost)] as const;
  lose(erased.key, lost.key);
  const { conversationId } = erased.scope;
  await createMemoryLedger({ server }).erase({ tenant: "default", conversationId });
  await back();
  expect(await ledger.find(erased.key)).toBeUndefined();
  expect((await ledger.find(lost.key))?.state).toBe("running");
  for (const claim of claims) expect(await ledger.finish(claim, aResult(), "replay")).toEqual({ state: "stored" });
  expect(await ledger.find(erased.key)).toBeUndefined();
  expect((await ledger.find(lost.key))?.state).toBe("done");
  expect(lines).toHaveLength(1);
});

test("what was erased is asked for before a lost call is written again, and waits with it if the server is away", async () => {
  let reported = async (): Promise<void> => Promise.reject(new StoreUnavailableError("down"));
  const { ledger, server, lose, back } = forgetful(({ onErased }) => {
    let listener: ErasureListener | undefined;
    onErased?.((selector) => (reported = async () => listener?.(selector)));
    return { onErased: (told) => void (listener = told), ping: () => reported() };
  });
  const [ended, running] = [anIntent({ runId: "erased" }), anIntent({ runId: "erased" })];
  const claim = await beginNew(ledger, ended);
  await beginNew(ledger, running);
  lose(ended.key, running.key);
  await back();
  const finished = await ledger.finish(claim, aResult(), "replay");
  if (finished.state !== "deferred") throw new Error(finished.state);
  await createMemoryLedger({ server }).erase({ tenant: "default", runId: "erased" });
  expect(await finished.recorded).toEqual({ state: "stored" });
  await back();
  for (const { key } of [ended, running]) expect(await ledger.find(key)).toBeUndefined();
});

test("if the server fails again, its next return is handled too", async () => {
  let down = false;
  const unless = <A extends unknown[], R>(method: (...args: A) => Promise<R>) =>
    ((...args: A) => (down ? Promise.reject(new StoreUnavailableError("down")) : method(...args))) as typeof method;
  const { ledger, lose, back } = forgetful(({ begin, write }) => ({ begin: unless(begin), write: unless(write) }));
  const [running, ended] = [anIntent(), anIntent()];
  const claim = await beginNew(ledger, running);
  await ledger.finish(await beginNew(ledger, ended), aResult(), "replay");
  lose(running.key, ended.key);
  down = true;
  await back();
  down = false;
  expect([await ledger.find(running.key), await ledger.find(ended.key)]).toEqual([undefined, undefined]);
  await back();
  expect((await ledger.find(running.key))?.state).toBe("running");
  expect((await ledger.find(ended.key))?.state).toBe("done");
  await ledger.finish(claim, aResult(), "drop");
  lose(ended.key);
  down = true;
  await back();
  down = false;
  await back();
  expect((await ledger.find(ended.key))?.state).toBe("done");
});

test("a repeat of a call whose outcome was lost unnoticed gets the outcome and does not run", async () => {
  const { ledger, lose, lines } = forgetful();
  const intent = anIntent();
  await ledger.finish(await beginNew(ledger, intent), aResult("once"), "replay");
  lose(intent.key);
  expect(await ledger.begin(intent)).toMatchObject({ state: "ended", entry: { result: { output: "once" } } });
  expect(lines).toHaveLength(1);
});

test("an outcome that is not for replay is not cached, and removes the one before", async () => {
  const { ledger, lose, back } = forgetful();
  const intent = anIntent();
  const claim = await beginNew(ledger, intent);
  await ledger.finish(claim, aResult("?", Outcome.UNCERTAIN), "replay");
  await ledger.finish(claim, aResult("not done"), "drop");
  expect(await ledger.find(intent.key)).toBeUndefined();
  await back();
  expect(await ledger.find(intent.key)).toBeUndefined();
  const again = await beginNew(ledger, intent);
  await ledger.finish(again, aResult(), "show");
  lose(intent.key);
  await back();
  expect(await ledger.find(intent.key)).toBeUndefined();
});

test.each([
  ["a conversation", { tenant: "default", conversationId: "nobody's" }, undefined],
  ["what is older than outcomes are remembered for", { olderThanMs: 60_000, uncertainOlderThanMs: 0 }, "done"],
  ["what may still be remembered", { olderThanMs: 59_999, uncertainOlderThanMs: 60_000 }, undefined],
])("after erasing %s, nothing of it comes back", async (_name, selector, state) => {
  const { ledger, lose, back } = forgetful();
  const intent = anIntent();
  await ledger.finish(await beginNew(ledger, intent), aResult(), "replay");
  await ledger.erase(selector);
  lose(intent.key);
  await back();
  expect((await ledger.find(intent.key))?.state).toBe(state);
});

test("once it is closed it ignores further returns of the server", async () => {
  const tried = forgetful();
  expect(tried.listens).toBe(true);
  await tried.ledger.close();
  expect(tried.listens).toBe(false);
});

test("an entry that is lost during the run is written with its outcome and a log line, unless it has an outcome or is to be dropped", async () => {
  const { ledger, server, lines } = faulty(() => ({}));
  const [lost, dropped, ended] = [anIntent(), anIntent(), anIntent()];
  const claim = await beginNew(ledger, lost);
  server.entries.delete(lost.key);
  expect(await ledger.finish(claim, aResult("anew"), "replay")).toEqual({ state: "stored" });
  expect((await ledger.find(lost.key))?.result?.output).toBe("anew");
  const line = `warn the store had lost a running call: its outcome was written again ${JSON.stringify({ tool: lost.tool })}`;
  expect(lines).toEqual([line]);

  const toDrop = await beginNew(ledger, dropped);
  server.entries.delete(dropped.key);
  expect(await ledger.finish(toDrop, aResult(), "drop")).toEqual({ state: "stored" });
  expect(await ledger.find(dropped.key)).toBeUndefined();

  const twice = await beginNew(ledger, ended);
  await ledger.finish(twice, aResult("?", Outcome.UNCERTAIN), "replay");
  server.entries.delete(ended.key);
  expect(await ledger.finish(twice, aResult("late"), "replay")).toEqual({ state: "stored" });
  expect(await ledger.find(ended.key)).toBeUndefined();
  expect(lines).toEqual([line]);
});

test("a lost entry that another owner has begun again is not overwritten", async () => {
  const { ledger, server } = faulty((store) => ({
    // The entry is created between the two requests.
    write: async (intent, ...rest) => {
      await createMemoryLedger({ server }).begin({ ...anIntent(), key: intent.key });
      return await store.write(intent, ...rest);
    },
  }));
  const intent = anIntent();
  const claim = await beginNew(ledger, intent);
  server.entries.delete(intent.key);
  expect(await ledger.finish(claim, aResult(), "replay")).toMatchObject({
    state: "superseded",
    entry: { state: "running" },
  });
});
