import { expect, test, vi } from "vitest";
import { LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import { stateOf } from "./stage.ts";
import type { LedgerStage } from "./stage.ts";
import { anIntent, beginNew } from "./samples.ts";

/** Proves that several replicas share one ledger. */
export function replicaConformance(target: () => { stage: LedgerStage; ledger: Ledger }): void {
  test("what another replica runs is no orphan here", async () => {
    const { stage, ledger } = target();
    const second = await stage.open();
    const intent = anIntent();
    await beginNew(ledger, intent);
    expect(stateOf(await second.begin(intent))).toBe("running");
    expect(stateOf(await second.begin({ ...intent, digest: "digest-2" }))).toBe("conflict");
    expect((await ledger.find(intent.key))?.state).toBe("running");
    await second.close();
  });

  test("every replica learns what another one has erased on request, once", async () => {
    const { stage, ledger } = target();
    const second = await stage.open();
    const learned: unknown[] = [];
    second.onErased((selector) => learned.push(selector));
    const selectors = [
      { tenant: "default", conversationId: "é to erase" },
      { tenant: "default", runId: "run to erase", source: "genesys" },
    ];
    for (const selector of selectors) await ledger.erase(selector);
    await vi.waitFor(() => expect(learned).toEqual(expect.arrayContaining(selectors)), { timeout: 5000 });
    // Two heartbeats later it has not been reported again.
    await second.ping();
    await second.ping();
    for (const selector of selectors) {
      expect(learned.filter((one) => JSON.stringify(one) === JSON.stringify(selector))).toHaveLength(1);
    }
    await second.close();
  });

  test("of 1,000 begins of one key over two replicas, one is new", async () => {
    const { stage, ledger } = target();
    const second = await stage.open();
    const intent = anIntent();
    // A loaded server may answer some requests too late: these are repeated, as by callers.
    const begin = async (replica: Ledger): Promise<string> => {
      for (;;) {
        const state = await replica.begin(intent).then(stateOf, (reason: unknown) => {
          if (!(reason instanceof LedgerUnavailableError)) throw reason;
        });
        if (state !== undefined) return state;
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const states = await Promise.all(
      Array.from({ length: 1_000 }, (_, index) => begin(index % 2 === 0 ? ledger : second)),
    );
    expect(states.filter((state) => state === "new")).toHaveLength(1);
    expect(states.filter((state) => state === "running")).toHaveLength(999);
    await second.close();
  });
}
