import { expect, test } from "vitest";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import type { AbandonedCall, Claim, Intent, Ledger } from "../../src/ledger/ledger.ts";
import { entryOf, stateOf } from "./stage.ts";
import type { LedgerStage } from "./stage.ts";
import { replicaConformance } from "./replica-conformance.ts";
import { aResult, anIntent, beginNew } from "./samples.ts";

/** Time limit until another owner takes over the entries of a dead one, in milliseconds: the lease and the margins of a run. */
const takeoverWithin = { timeout: 12_000 };
const testTimeoutMs = 30_000;

/** Proves that entries of a dead owner are taken over. `replicas`: several owners can be alive at a time. */
export function takeoverConformance(
  target: () => { stage: LedgerStage; ledger: Ledger },
  { replicas }: { replicas: boolean },
): void {
  /** Begins a call on a replica that then dies; its object behaves like a frozen process. */
  async function abandon(intent: Intent): Promise<{ former: Ledger; claim: Claim; heir: Ledger }> {
    const { stage, ledger } = target();
    const former = await stage.open();
    const claim = await beginNew(former, intent);
    await stage.die(former);
    return { former, claim, heir: replicas ? ledger : await stage.open() };
  }

  async function takeOver(heir: Ledger, intent: Intent): Promise<AbandonedCall> {
    let taken: AbandonedCall | undefined;
    await expect
      .poll(async () => {
        const begun = await heir.begin(intent);
        if (begun.state === "abandoned") taken = begun;
        return begun.state;
      }, takeoverWithin)
      .toBe("abandoned");
    return taken as AbandonedCall;
  }

  test(
    "an intent whose owner died is given to the next that asks for it",
    async () => {
      const intent = anIntent({ effect: "idempotent" });
      const { heir } = await abandon(intent);
      const before = await heir.find(intent.key);
      const { entry, claim } = await takeOver(heir, intent);
      expect(entry).toMatchObject({ ...intent, state: "running" });
      // Its new owner has a new time.
      expect(entry.endsAt).toBeGreaterThan(before?.endsAt ?? Number.POSITIVE_INFINITY);
      expect(stateOf(await heir.begin(intent))).toBe("running");
      expect(stateOf(await heir.begin({ ...intent, digest: "digest-2" }))).toBe("conflict");
      await heir.finish(claim, aResult("by the heir"), "replay");
      expect((await heir.find(intent.key))?.result?.output).toBe("by the heir");
    },
    testTimeoutMs,
  );

  test(
    "a write is not taken over before its run must have ended",
    async () => {
      const [write, idempotent] = [anIntent(), anIntent({ effect: "idempotent" })];
      const { stage, ledger } = target();
      const former = await stage.open();
      const { sendUntil } = await beginNew(former, write);
      await beginNew(former, idempotent);
      await stage.die(former);
      const heir = replicas ? ledger : await stage.open();
      await takeOver(heir, idempotent);
      // The lease is over; the run may still be in progress.
      expect(performance.now()).toBeLessThan(sendUntil);
      expect(stateOf(await heir.begin(write))).toBe("running");
      await takeOver(heir, write);
      expect(performance.now()).toBeGreaterThan(sendUntil);
    },
    testTimeoutMs,
  );

  test(
    "abandoned intents are recovered in portions, each once",
    async () => {
      const { stage, ledger } = target();
      const dying = await stage.open();
      const intents = Array.from({ length: 5 }, () => anIntent({ effect: "idempotent" }));
      for (const intent of intents) await beginNew(dying, intent);
      const finished = anIntent();
      await dying.finish(await beginNew(dying, finished), aResult(), "replay");
      await stage.die(dying);
      const heir = replicas ? ledger : await stage.open();
      const keys = new Set(intents.map(({ key }) => key));
      const taken: AbandonedCall[] = [];
      await expect
        .poll(async () => {
          const portion = await heir.recover(2);
          expect(portion.length).toBeLessThanOrEqual(2);
          taken.push(...portion.filter(({ entry }) => keys.has(entry.key)));
          return taken.length;
        }, takeoverWithin)
        .toBe(5);
      expect(new Set(taken.map(({ entry }) => entry.key))).toEqual(keys);
      expect(taken[0]?.entry).toMatchObject({ state: "running", tool: "update_ticket_priority" });
      expect((await heir.recover(100)).filter(({ entry }) => keys.has(entry.key))).toEqual([]);
    },
    testTimeoutMs,
  );

  test(
    "a takeover that is released is given to the next that asks",
    async () => {
      const intent = anIntent({ effect: "idempotent" });
      const { heir } = await abandon(intent);
      const { claim } = await takeOver(heir, intent);
      await heir.release(claim);
      expect((await heir.find(intent.key))?.state).toBe("running");
      const again = await takeOver(heir, intent);
      await heir.release(claim);
      expect(await heir.finish(again.claim, aResult("second try"), "replay")).toEqual({ state: "stored" });
      expect((await heir.find(intent.key))?.result?.output).toBe("second try");
    },
    testTimeoutMs,
  );

  test(
    "a former owner is told what is stored, and changes nothing",
    async () => {
      const intent = anIntent({ effect: "idempotent" });
      const { former, claim, heir } = await abandon(intent);
      const taken = await takeOver(heir, intent);
      expect(await former.finish(claim, aResult("late"), "replay")).toMatchObject({
        state: "superseded",
        entry: { state: "running" },
      });
      expect(await former.finish(claim, aResult("late"), "drop")).toMatchObject({ state: "superseded" });
      await former.release(claim);
      expect(await heir.finish(taken.claim, aResult("by the heir"), "replay")).toEqual({ state: "stored" });
      expect(await former.finish(claim, aResult("later"), "replay")).toMatchObject({
        state: "superseded",
        entry: { state: "done", result: { output: "by the heir" } },
      });
      expect((await heir.find(intent.key))?.result?.output).toBe("by the heir");
    },
    testTimeoutMs,
  );

  test(
    "a former owner settles what another called uncertain, once",
    async () => {
      const intent = anIntent({ effect: "idempotent" });
      const { former, claim, heir } = await abandon(intent);
      const taken = await takeOver(heir, intent);
      await heir.finish(taken.claim, aResult("?", Outcome.UNCERTAIN), "replay");
      expect(await former.finish(claim, aResult("?", Outcome.UNCERTAIN), "replay")).toMatchObject({
        state: "superseded",
        entry: { state: "uncertain" },
      });
      expect(await former.finish(claim, aResult("it happened"), "replay")).toEqual({ state: "stored" });
      expect(entryOf(await heir.begin(intent))).toMatchObject({ state: "done", result: { output: "it happened" } });
      expect(await heir.finish(taken.claim, aResult("no"), "replay")).toMatchObject({
        state: "superseded",
        entry: { state: "done", result: { output: "it happened" } },
      });
      expect((await heir.find(intent.key))?.result?.output).toBe("it happened");
    },
    testTimeoutMs,
  );

  test(
    "an heir settles what it called uncertain itself",
    async () => {
      const intent = anIntent({ effect: "idempotent" });
      const { heir } = await abandon(intent);
      const { claim } = await takeOver(heir, intent);
      await heir.finish(claim, aResult("?", Outcome.UNCERTAIN), "replay");
      expect(await heir.finish(claim, aResult("it happened"), "replay")).toEqual({ state: "stored" });
      expect((await heir.find(intent.key))?.result?.output).toBe("it happened");
    },
    testTimeoutMs,
  );

  test(
    "a former owner does not settle a call that its heir ran again",
    async () => {
      const intent = anIntent({ effect: "idempotent" });
      const { former, claim, heir } = await abandon(intent);
      const taken = await takeOver(heir, intent);
      const restarted = await heir.restart(taken.claim, 60_000);
      if (restarted.state !== "restarted") throw new Error("the entry is ours");
      // It has the time of the new run, and no other.
      const given = ((await heir.find(intent.key))?.endsAt ?? 0) - taken.entry.endsAt;
      expect(given).toBeGreaterThan(50_000);
      expect(given).toBeLessThan(70_000);
      await heir.finish(restarted.claim, aResult("?", Outcome.UNCERTAIN), "replay");
      expect(await former.finish(claim, aResult("my own run"), "replay")).toMatchObject({
        state: "superseded",
        entry: { state: "uncertain" },
      });
      expect(await former.restart(claim, 200)).toMatchObject({ state: "superseded", entry: { state: "uncertain" } });
      expect(await heir.finish(restarted.claim, aResult("the heir's run"), "replay")).toEqual({ state: "stored" });
      expect((await heir.find(intent.key))?.result?.output).toBe("the heir's run");
    },
    testTimeoutMs,
  );

  test(
    "of calls that were recovered together one can be given back, and the others stay",
    async () => {
      const { stage, ledger } = target();
      const dying = await stage.open();
      const [back, kept] = [anIntent({ effect: "idempotent" }), anIntent({ effect: "idempotent" })];
      for (const intent of [back, kept]) await beginNew(dying, intent);
      await stage.die(dying);
      const heir = replicas ? ledger : await stage.open();
      const taken: AbandonedCall[] = [];
      const recovered = (): AbandonedCall[] =>
        taken.filter(({ entry }) => entry.key === back.key || entry.key === kept.key);
      await expect
        .poll(async () => (taken.push(...(await heir.recover(100))), recovered().length), takeoverWithin)
        .toBe(2);
      await heir.release(recovered().find(({ entry }) => entry.key === back.key)!.claim);
      expect(stateOf(await heir.begin(kept))).toBe("running");
      expect(stateOf(await heir.begin(back))).toBe("abandoned");
    },
    testTimeoutMs,
  );

  test(
    "a call that has ended is not run again by whoever took it over",
    async () => {
      const intent = anIntent({ effect: "idempotent" });
      const { heir } = await abandon(intent);
      const { claim } = await takeOver(heir, intent);
      await heir.finish(claim, aResult("by the heir"), "replay");
      expect(await heir.restart(claim, 200)).toMatchObject({ state: "superseded", entry: { state: "done" } });
      expect((await heir.find(intent.key))?.result?.output).toBe("by the heir");
    },
    testTimeoutMs,
  );

  test(
    "an entry that the store has lost is not run again by whoever took it over",
    async () => {
      const intent = anIntent({ effect: "idempotent" });
      const { heir } = await abandon(intent);
      const { claim } = await takeOver(heir, intent);
      await target().stage.lose(intent.key);
      expect(await heir.restart(claim, 200)).toEqual({ state: "superseded", entry: undefined });
      expect(await heir.find(intent.key)).toBeUndefined();
    },
    testTimeoutMs,
  );

  if (!replicas) return;

  replicaConformance(target);

  test(
    "a former owner writes nothing back of a call that its heir ended and that was erased",
    async () => {
      const intent = anIntent({ effect: "idempotent" });
      const { former, claim, heir } = await abandon(intent);
      const taken = await takeOver(heir, intent);
      await heir.finish(taken.claim, aResult("by the heir"), "replay");
      expect(await heir.erase({ tenant: "default", conversationId: intent.scope.conversationId })).toBe(1);
      expect(await former.finish(claim, aResult("late"), "replay")).toEqual({ state: "stored" });
      expect(await heir.find(intent.key)).toBeUndefined();
    },
    testTimeoutMs,
  );

  test(
    "of two heirs, one gets what was abandoned",
    async () => {
      const intent = anIntent({ effect: "idempotent" });
      const { heir } = await abandon(intent);
      const second = await target().stage.open();
      const states: string[] = [];
      await expect
        .poll(async () => {
          states.push(...(await Promise.all([heir, second].map(async (one) => stateOf(await one.begin(intent))))));
          return states.includes("abandoned");
        }, takeoverWithin)
        .toBe(true);
      expect(states.filter((state) => state === "abandoned")).toHaveLength(1);
      expect(states.every((state) => state === "abandoned" || state === "running")).toBe(true);
      await second.close();
    },
    testTimeoutMs,
  );
}
