import { expect, test } from "vitest";
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
