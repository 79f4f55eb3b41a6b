import { expect, test } from "vitest";
import { createMemoryLedger } from "../../src/ledger/drivers/memory.ts";
import { LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { faulty } from "./faulty.ts";
import { aResult, anIntent, beginNew } from "./samples.ts";
import { lateCommit } from "./late-commit.ts";

test("calls whose recovery was executed but not answered are released, and recovered by the next", async () => {
  let answers = false;
  const { ledger, server } = faulty((store) => ({
    recover: async (...request) => {
      const calls = await store.recover(...request);
      if (!answers) throw new StoreUnavailableError("no answer");
      return calls;
    },
  }));
  const dying = createMemoryLedger({ server });
  const intents = [anIntent({ effect: "idempotent" }), anIntent({ effect: "idempotent" })];
  for (const intent of intents) await beginNew(dying, intent);
  await dying.close();
  const running = anIntent();
  await beginNew(ledger, running);
  await expect(ledger.recover(10)).rejects.toThrow("no answer");
  answers = true;
  expect((await ledger.recover(10)).map(({ claim }) => claim.key)).toEqual(intents.map(({ key }) => key));
  expect((await ledger.find(running.key))?.state).toBe("running");
});

test("a claim whose call belongs to another owner by now ends with the restart that detects this", async () => {
  const released: unknown[] = [];
  const { ledger, server } = faulty(() => ({ release: async (...what) => void released.push(what) }));
  const intent = anIntent({ effect: "idempotent" });
  const dying = createMemoryLedger({ server });
  await beginNew(dying, intent);
  await dying.close();
  const [call] = await ledger.recover(1);
  server.entries.delete(intent.key);
  expect(await ledger.restart(call!.claim, 1_000)).toEqual({ state: "superseded", entry: undefined });
  await ledger.release(call!.claim);
  expect(released).toEqual([]);
});

test("calls that are recovered together stay with this process until each has ended", async () => {
  const { ledger, server, pass } = faulty(() => ({}));
  const dying = createMemoryLedger({ server });
  const intents = [anIntent({ effect: "idempotent" }), anIntent({ effect: "idempotent" })];
  for (const intent of intents) await beginNew(dying, intent);
  await dying.close();
  const calls = await ledger.recover(10);
  expect(calls).toHaveLength(2);
  await ledger.finish(calls[0]!.claim, aResult(), "replay");
  await ledger.finish(calls[0]!.claim, aResult(), "replay");
  pass(60_000);
  // The second one is no orphan.
  expect(await ledger.recover(10)).toEqual([]);
  await ledger.release(calls[1]!.claim);
  expect((await ledger.begin(intents[1]!)).state).toBe("abandoned");
});

test("an entry without an owner is released once it is five seconds old, and not earlier", async () => {
  const { ledger, commit, pass } = lateCommit();
  const intent = anIntent();
  await expect(ledger.begin(intent)).rejects.toThrow(LedgerUnavailableError);
  await ledger.recover(10);
  await commit();
  pass(4_999);
  await ledger.recover(10);
  expect((await ledger.find(intent.key))?.state).toBe("running");
  pass(1);
  await ledger.recover(10);
  expect(await ledger.find(intent.key)).toBeUndefined();
});

test("an entry that cannot be released does not hold up the recovery of others", async () => {
  const locked = anIntent();
  const { ledger, server, pass } = faulty((store) => ({
    begin: async (...request) => {
      const reply = await store.begin(...request);
      if (request[0].key === locked.key) throw new StoreUnavailableError("no answer");
      return reply;
    },
    release: () => Promise.reject(new StoreUnavailableError("canceling statement due to lock timeout")),
  }));
  await expect(ledger.begin(locked)).rejects.toThrow("no answer");
  const dying = createMemoryLedger({ server });
  const intent = anIntent({ effect: "idempotent" });
  await beginNew(dying, intent);
  await dying.close();
  pass(60_000);
  expect((await ledger.recover(10)).map(({ claim }) => claim.key)).toEqual([intent.key]);
});
