import { expect } from "vitest";
import { type Ledger, LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import { StoreUnavailableError } from "../../src/store/store-errors.ts";
import { anIntent, beginNew } from "./samples.ts";

/** A store's method whose first request of a kind is carried out only by `commit`, long after its caller has given up. */
export function committedLate<A extends unknown[], R>(
  method: (...args: A) => Promise<R>,
  isMeant: (...args: A) => boolean = () => true,
): { method: (...args: A) => Promise<R>; commit: () => Promise<unknown> } {
  let held: (() => Promise<R>) | undefined;
  return {
    commit: async () => await held?.(),
    method: (...args) => {
      if (held !== undefined || !isMeant(...args)) return method(...args);
      held = () => method(...args);
      return Promise.reject(new StoreUnavailableError("no answer"));
    },
  };
}

/**
 * Proves that an intent whose commit came late is nobody's: the next caller runs it, with whatever arguments, and where
 * nobody asks for it, it is given back.
 */
export async function provesLateIntentsAreNobodys(
  open: () => Promise<{ ledger: Ledger; commit: () => Promise<unknown> }>,
): Promise<void> {
  for (const digest of ["digest-1", "digest-2", undefined]) {
    const { ledger, commit } = await open();
    const intent = anIntent({ timeoutMs: 60_000 });
    await expect(ledger.begin(intent)).rejects.toThrow(LedgerUnavailableError);
    // What the refused attempt may have left is undone before anything else is done with the key.
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
