import { equals } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import type { BeginResult, Ledger, LedgerEntry } from "../../src/ledger/ledger.ts";
import { aResult, anIntent } from "./samples.ts";

/** Where a driver is tried: one store, and replicas on it. */
export interface LedgerStage {
  /** Opens a replica. */
  open(): Promise<Ledger>;
  /** Ends a replica in the middle of its work: what it runs is abandoned. */
  die(ledger: Ledger): Promise<void>;
  close(): Promise<void>;
}

/** What a driver cannot do by its nature, with the reason. */
export interface LedgerSkips {
  replicas?: string;
  takeOver?: string;
}

/** How long a dead owner's entries may wait for a new one, in milliseconds. */
const takeOverWithinMs = 8_000;

/** Proves that a driver is a ledger. `unavailable`: why it cannot be tried here. */
export function ledgerConformance(
  name: string,
  openStage: () => Promise<LedgerStage>,
  options: { skips?: LedgerSkips; unavailable?: string | undefined } = {},
): void {
  const { skips = {}, unavailable } = options;
  if (unavailable !== undefined) {
    describe.skip(`${name}: ${unavailable}`, () => {
      test("is not tried here", () => {});
    });
    return;
  }

  describe(name, () => {
    let stage: LedgerStage;
    let ledger: Ledger;
    beforeAll(async () => {
      stage = await openStage();
      ledger = await stage.open();
    });
    afterAll(async () => {
      await ledger.close();
      await stage.close();
    });

    // What a driver cannot do by its nature is no test of it; the reason stands with the driver's call.
    const none = (): void => {};
    const takeOverTest = skips.takeOver === undefined ? test : none;
    const replicasTest = skips.replicas === undefined ? test : none;

    const stateOf = ({ state }: BeginResult): string => state;
    const entryOf = (begun: BeginResult): LedgerEntry | undefined => ("entry" in begun ? begun.entry : undefined);

    test("a new intent is ours, and is stored as it was given", async () => {
      const intent = anIntent();
      expect(stateOf(await ledger.begin(intent))).toBe("new");
      const entry = await ledger.find(intent.key);
      expect(entry).toMatchObject({ ...intent, state: "running", result: undefined });
      expect(Math.abs((entry?.createdAt ?? 0) - Date.now())).toBeLessThan(60_000);
    });

    test("an unknown key is not found", async () => {
      expect(await ledger.find("nothing")).toBeUndefined();
    });

    test("the same call again, while it runs, is running", async () => {
      const intent = anIntent();
      await ledger.begin(intent);
      const begun = await ledger.begin(intent);
      expect(begun.state).toBe("running");
      expect(entryOf(begun)).toMatchObject(intent);
    });

    test("other arguments under a known key are a conflict, running or ended", async () => {
      const intent = anIntent();
      await ledger.begin(intent);
      const other = { ...intent, digest: "digest-2" };
      expect(await ledger.begin(other)).toEqual({ state: "conflict" });
      await ledger.finish(intent.key, aResult(), "replay");
      expect(await ledger.begin(other)).toEqual({ state: "conflict" });
      expect(stateOf(await ledger.begin(intent))).toBe("ended");
    });

    test("an outcome kept for replay is what the same call gets, equal in every field", async () => {
      const intent = anIntent();
      await ledger.begin(intent);
      const result = aResult("ünïcödé 😀 \u0000");
      await ledger.finish(intent.key, result, "replay");
      const entry = entryOf(await ledger.begin(intent));
      expect(entry?.state).toBe("done");
      expect(entry?.result !== undefined && equals(ToolResultSchema, entry.result, result)).toBe(true);
    });

    test("an uncertain outcome is told as such", async () => {
      const intent = anIntent();
      await ledger.begin(intent);
      await ledger.finish(intent.key, aResult("?", Outcome.UNCERTAIN), "replay");
      expect((await ledger.find(intent.key))?.state).toBe("uncertain");
      expect(entryOf(await ledger.begin(intent))?.state).toBe("uncertain");
    });

    test("an outcome kept for show is found by key, and the same call runs again", async () => {
      const intent = anIntent({ effect: "read" });
      await ledger.begin(intent);
      await ledger.finish(intent.key, aResult("shown"), "show");
      expect((await ledger.find(intent.key))?.result?.output).toBe("shown");
      expect(await ledger.begin({ ...intent, digest: "digest-2" })).toEqual({ state: "new" });
      expect(await ledger.find(intent.key)).toMatchObject({ state: "running", digest: "digest-2", result: undefined });
      await ledger.finish(intent.key, aResult("again"), "replay");
      expect((await ledger.find(intent.key))?.result?.output).toBe("again");
    });

    test("a dropped outcome leaves nothing, and the same call runs again", async () => {
      const intent = anIntent();
      await ledger.begin(intent);
      await ledger.finish(intent.key, aResult(), "drop");
      expect(await ledger.find(intent.key)).toBeUndefined();
      expect(stateOf(await ledger.begin(intent))).toBe("new");
    });

    test("the first outcome stays: a second one for the same call is ignored", async () => {
      const intent = anIntent();
      await ledger.begin(intent);
      await ledger.finish(intent.key, aResult("first"), "replay");
      await ledger.finish(intent.key, aResult("second"), "replay");
      await ledger.finish(intent.key, aResult("third"), "drop");
      expect((await ledger.find(intent.key))?.result?.output).toBe("first");
    });

    test("an outcome for a key that nobody began is ignored", async () => {
      await ledger.finish("never-begun", aResult(), "replay");
      expect(await ledger.find("never-begun")).toBeUndefined();
    });

    test("of 1,000 begins of one key at once, one is new", async () => {
      const intent = anIntent();
      const states = await Promise.all(Array.from({ length: 1_000 }, async () => stateOf(await ledger.begin(intent))));
      expect(states.filter((state) => state === "new")).toHaveLength(1);
      expect(states.filter((state) => state === "running")).toHaveLength(999);
    });

    test("a conversation is forgotten with what ended in it, and nothing else", async () => {
      const ended = anIntent({ conversationId: "to-forget" });
      const running = anIntent({ conversationId: "to-forget" });
      const elsewhere = anIntent({ conversationId: "to-keep" });
      const otherTenant = anIntent({ conversationId: "to-forget", tenant: "other" });
      for (const intent of [ended, running, elsewhere, otherTenant]) await ledger.begin(intent);
      for (const intent of [ended, elsewhere, otherTenant]) await ledger.finish(intent.key, aResult(), "replay");
      expect(await ledger.erase({ tenant: "default", conversationId: "to-forget" })).toBe(1);
      expect(await ledger.find(ended.key)).toBeUndefined();
      expect((await ledger.find(running.key))?.state).toBe("running");
      expect((await ledger.find(elsewhere.key))?.state).toBe("done");
      expect((await ledger.find(otherTenant.key))?.state).toBe("done");
      expect(await ledger.erase({ tenant: "default", conversationId: "to-forget" })).toBe(0);
    });

    test("calls without a conversation are not taken for one conversation", async () => {
      const intent = anIntent({ conversationId: "" });
      await ledger.begin(intent);
      await ledger.finish(intent.key, aResult(), "replay");
      expect(await ledger.erase({ tenant: "default", conversationId: "" })).toBe(0);
      expect((await ledger.find(intent.key))?.state).toBe("done");
    });

    test("what ended before the window is forgotten, what runs never is", async () => {
      const ended = anIntent();
      const running = anIntent();
      await ledger.begin(ended);
      await ledger.begin(running);
      await ledger.finish(ended.key, aResult(), "replay");
      await ledger.erase({ olderThanMs: 3_600_000 });
      expect((await ledger.find(ended.key))?.state).toBe("done");
      expect(await ledger.erase({ olderThanMs: 0 })).toBeGreaterThan(0);
      expect(await ledger.find(ended.key)).toBeUndefined();
      expect((await ledger.find(running.key))?.state).toBe("running");
      expect(stateOf(await ledger.begin(ended))).toBe("new");
    });

    test("a call without an outcome keeps its key through a large answer", async () => {
      const intent = anIntent({ argumentsJson: JSON.stringify({ text: "x".repeat(200_000) }) });
      await ledger.begin(intent);
      await ledger.finish(intent.key, aResult("y".repeat(65_536)), "replay");
      const entry = await ledger.find(intent.key);
      expect(entry?.argumentsJson).toBe(intent.argumentsJson);
      expect(entry?.result?.output).toHaveLength(65_536);
    });

    test("it answers that it can take an intent", async () => {
      await expect(ledger.ping()).resolves.toBeUndefined();
    });

    test("nothing is taken over from those who live", async () => {
      await ledger.begin(anIntent());
      expect(await ledger.takeOver(100)).toEqual([]);
    });

    takeOverTest(
      "an intent whose owner died is given to the next who asks for it",
      async () => {
        const dying = await stage.open();
        const intent = anIntent();
        await dying.begin(intent);
        await stage.die(dying);
        const heir = skips.replicas === undefined ? ledger : await stage.open();
        await expect
          .poll(async () => stateOf(await heir.begin(intent)), { timeout: takeOverWithinMs })
          .toBe("abandoned");
        expect(stateOf(await heir.begin(intent))).toBe("running");
        expect(await heir.begin({ ...intent, digest: "digest-2" })).toEqual({ state: "conflict" });
        await heir.finish(intent.key, aResult("by the heir"), "replay");
        expect((await heir.find(intent.key))?.result?.output).toBe("by the heir");
      },
      20_000,
    );

    takeOverTest(
      "abandoned intents are taken over in portions, each once",
      async () => {
        const dying = await stage.open();
        const intents = Array.from({ length: 5 }, () => anIntent());
        for (const intent of intents) await dying.begin(intent);
        const finished = anIntent();
        await dying.begin(finished);
        await dying.finish(finished.key, aResult(), "replay");
        await stage.die(dying);
        const heir = skips.replicas === undefined ? ledger : await stage.open();
        const keys = new Set(intents.map(({ key }) => key));
        const taken: LedgerEntry[] = [];
        await expect
          .poll(
            async () => {
              const portion = await heir.takeOver(2);
              expect(portion.length).toBeLessThanOrEqual(2);
              taken.push(...portion.filter(({ key }) => keys.has(key)));
              return taken.length;
            },
            { timeout: takeOverWithinMs },
          )
          .toBe(5);
        expect(new Set(taken.map(({ key }) => key))).toEqual(keys);
        expect(taken[0]).toMatchObject({ state: "running", tool: "update_ticket_priority" });
        expect((await heir.takeOver(100)).filter(({ key }) => keys.has(key))).toEqual([]);
      },
      20_000,
    );

    replicasTest("of 1,000 begins of one key over two replicas, one is new", async () => {
      const second = await stage.open();
      const intent = anIntent();
      const states = await Promise.all(
        Array.from({ length: 1_000 }, async (_, index) =>
          stateOf(await (index % 2 === 0 ? ledger : second).begin(intent)),
        ),
      );
      expect(states.filter((state) => state === "new")).toHaveLength(1);
      expect(states.filter((state) => state === "running")).toHaveLength(999);
      await second.close();
    });

    replicasTest("only the owner finishes: what another replica says is ignored", async () => {
      const second = await stage.open();
      const intent = anIntent();
      await ledger.begin(intent);
      await second.finish(intent.key, aResult("not mine"), "replay");
      expect((await second.find(intent.key))?.state).toBe("running");
      await ledger.finish(intent.key, aResult("mine"), "replay");
      expect(entryOf(await second.begin(intent))?.result?.output).toBe("mine");
      await second.close();
    });

    replicasTest(
      "of two heirs, one gets what was abandoned",
      async () => {
        const [dying, second] = [await stage.open(), await stage.open()];
        const intent = anIntent();
        await dying.begin(intent);
        await stage.die(dying);
        const states: string[] = [];
        await expect
          .poll(
            async () => {
              states.push(
                ...(await Promise.all([ledger, second].map(async (heir) => stateOf(await heir.begin(intent))))),
              );
              return states.includes("abandoned");
            },
            { timeout: takeOverWithinMs },
          )
          .toBe(true);
        expect(states.filter((state) => state === "abandoned")).toHaveLength(1);
        expect(states.every((state) => state === "abandoned" || state === "running")).toBe(true);
        await second.close();
      },
      20_000,
    );
  });
}
