import { expect } from "vitest";
import { type Ledger, LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { aResult, anIntent, beginNew } from "./samples.ts";

/** A method of a store whose first request of a kind is executed, or not, by `act`. */
export function firstRequest<A extends unknown[], R>(
  method: (...args: A) => Promise<R>,
  isMeant: (...args: A) => boolean,
  act: (carryOut: () => Promise<R>) => Promise<R>,
): (...args: A) => Promise<R> {
  let acted = false;
  return (...args) => {
    if (acted || !isMeant(...args)) return method(...args);
    acted = true;
    return act(() => method(...args));
  };
}

/** A method of a store whose first request of a kind is executed only by `commit`, long after its caller has given up. */
export function committedLate<A extends unknown[], R>(
  method: (...args: A) => Promise<R>,
  isMeant: (...args: A) => boolean = () => true,
): { method: (...args: A) => Promise<R>; commit: () => Promise<unknown> } {
  let held: (() => Promise<R>) | undefined;
  return {
    commit: async () => await held?.(),
    method: firstRequest(method, isMeant, (carryOut) => {
      held = carryOut;
      return Promise.reject(new StoreUnavailableError("no answer"));
    }),
  };
}

/** Opens two ledgers on one store, which executes the first request of this kind by one of them through `act`. */
export type OpenWith = (
  kind: "write" | "recover",
  act: <R>(carryOut: () => Promise<R>) => Promise<R>,
) => Promise<{ ledger: Ledger; other: Ledger; lose: (key: string) => Promise<unknown> }>;

/** Proves that an entry which was lost, and which another ledger then begins, belongs to the latter. */
export async function provesLostEntriesAreNotOverwritten(open: OpenWith): Promise<void> {
  const intent = anIntent({ timeoutMs: 60_000 });
  const { ledger, other, lose } = await open("write", async (carryOut) => {
    await beginNew(other, intent);
    return await carryOut();
  });
  const claim = await beginNew(ledger, intent);
  await lose(intent.key);
  expect(await ledger.finish(claim, aResult("late"), "replay")).toMatchObject({
    state: "superseded",
    entry: { ...intent, state: "running" },
  });
  expect((await other.find(intent.key))?.state).toBe("running");
  for (const one of [ledger, other]) await one.close();
}

/** Proves that calls whose recovery was executed, but not answered, are recovered by the next recovery. */
export async function provesUnansweredRecoveriesAreUndone(open: OpenWith): Promise<void> {
  const { ledger, other } = await open("recover", async (carryOut) => {
    await carryOut();
    throw new StoreUnavailableError("no answer");
  });
  const intents = [anIntent({ effect: "idempotent" }), anIntent({ effect: "idempotent" })];
  for (const intent of intents) await beginNew(other, intent);
  const running = anIntent({ timeoutMs: 60_000 });
  await beginNew(ledger, running);
  await other.close();
  await expect(ledger.recover(100)).rejects.toThrow("no answer");
  const keys = (await ledger.recover(100)).map(({ entry }) => entry.key);
  for (const { key } of intents) expect(keys).toContain(key);
  expect((await ledger.find(running.key))?.state).toBe("running");
  await ledger.close();
}

/**
 * Proves that an intent with a late commit has no owner: the next caller runs it, with any arguments, and if there is no
 * such caller, it is released.
 */
export async function provesLateIntentsAreNobodys(
  open: () => Promise<{ ledger: Ledger; commit: () => Promise<unknown> }>,
): Promise<void> {
  for (const digest of ["digest-1", "digest-2", undefined]) {
    const { ledger, commit } = await open();
    const intent = anIntent({ timeoutMs: 60_000 });
    await expect(ledger.begin(intent)).rejects.toThrow(LedgerUnavailableError);
    // The possible effect of the refused attempt is undone before any other request for the key.
    await ledger.release(await beginNew(ledger, intent));
    expect(await ledger.find(intent.key)).toBeUndefined();
    await commit();
    expect((await ledger.find(intent.key))?.state).toBe("running");
    if (digest === undefined) {
      const kept = anIntent({ timeoutMs: 60_000 });
      await beginNew(ledger, kept);
      const left = async () => (await ledger.recover(1), await ledger.find(intent.key));
      await expect.poll(left, { timeout: 8_000 }).toBeUndefined();
      expect((await ledger.find(kept.key))?.state).toBe("running");
      await ledger.close();
      continue;
    }
    expect((await ledger.begin({ ...intent, digest })).state).toBe("new");
    expect((await ledger.begin({ ...intent, digest })).state).toBe("running");
    await ledger.close();
  }
}
