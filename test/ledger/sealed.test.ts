import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import { createSealer, plainSealer, type Sealer } from "../../src/store/sealer.ts";
import { holds, type SealedStage, sealedStages } from "../support/sealed-stores.ts";
import { aResult, anIntent, beginNew } from "./samples.ts";
import { entryOf, stateOf } from "./stage.ts";

const [one, two] = [
  { id: "one", secret: randomBytes(32) },
  { id: "two", secret: randomBytes(32) },
];

/** An intent with a text among its arguments. */
const intentWith = (text: string, change: Parameters<typeof anIntent>[0] = {}) =>
  anIntent({ argumentsJson: JSON.stringify({ text }), digest: `digest-of-${text}`, ...change });

for (const [name, { missing, open }] of Object.entries(sealedStages)) {
  describe.skipIf(missing !== undefined)(`calls that are encrypted in ${name}`, () => {
    let stage: SealedStage;
    beforeAll(async () => (stage = await open()));
    afterAll(() => stage.close());

    const lines: object[] = [];
    /** A ledger of the stage, closed when its test ends. */
    function ledgerWith(sealer: Sealer): Ledger {
      const log = { warn() {}, error: (fields: object) => void lines.push(fields) };
      const ledger = stage.ledger({ sealer, log });
      onTestFinished(() => ledger.close());
      return ledger;
    }

    test("arguments, their digest and the answer are stored in unreadable form, and are read unchanged", async () => {
      const plain = ledgerWith(plainSealer);
      const open = intentWith("a-plain-argument");
      await plain.finish(await beginNew(plain, open), aResult("a-plain-answer"), "replay");
      const before = await stage.dump();
      const found = ["a-plain-argument", "digest-of-a-plain-argument", "a-plain-answer"].map((text) =>
        holds(before, text),
      );
      expect(found).toEqual([true, true, true]);

      const sealed = ledgerWith(createSealer([one]));
      const intent = intentWith("card-4111-1111");
      const claim = await beginNew(sealed, intent);
      expect(await sealed.find(intent.key)).toMatchObject({ ...intent, state: "running" });
      await sealed.finish(claim, aResult("balance-1234567"), "replay");
      const entry = entryOf(await sealed.begin(intent));
      expect(entry).toMatchObject({ ...intent, state: "done", result: { output: "balance-1234567" } });
      expect(entry?.unreadable).toBeUndefined();
      const after = await stage.dump();
      expect(["card-4111-1111", "balance-1234567"].filter((text) => holds(after, text))).toEqual([]);
      // The columns by which calls are found and erased are plain text.
      expect(holds(after, intent.callId)).toBe(true);
      expect(await sealed.erase({ tenant: "default", conversationId: intent.scope.conversationId })).toBe(1);
    });

    test("repeats are recognised while keys are added and changed: plain, under the first key, under the second", async () => {
      const rotations = [plainSealer, createSealer([one]), createSealer([two, one])];
      const intents = rotations.map((_, index) => intentWith(`rotated-${index}`));
      for (const [index, sealer] of rotations.entries()) {
        const ledger = ledgerWith(sealer);
        await ledger.finish(await beginNew(ledger, intents[index]!), aResult(`answer ${index}`), "replay");
        for (const [before, intent] of intents.slice(0, index + 1).entries()) {
          expect(entryOf(await ledger.begin(intent))?.result?.output).toBe(`answer ${before}`);
          expect(stateOf(await ledger.begin({ ...intent, digest: "another" }))).toBe("conflict");
        }
      }
    });

    test("an earlier running call is joined, and ended by its owner, during a key change", async () => {
      const [before, after] = [ledgerWith(createSealer([one, two])), ledgerWith(createSealer([two, one]))];
      // On SQLite one process at a time opens the file: a second ledger considers the call abandoned.
      const intent = intentWith("joined", { effect: "idempotent" });
      const claim = await beginNew(before, intent);
      const begun = await after.begin(intent);
      expect(begun.state).toBe(name === "SQLite" ? "abandoned" : "running");
      expect(entryOf(begun)).toMatchObject({ argumentsJson: intent.argumentsJson, digest: intent.digest });
      await before.finish(claim, aResult("joined"), "replay");
    });

    test("an answer whose key is missing is UNCERTAIN, nothing runs again, and it is readable once the key is back", async () => {
      const [withOne, sealer] = [ledgerWith(createSealer([one])), createSealer([two])];
      const intent = intentWith("missing");
      await withOne.finish(await beginNew(withOne, intent), aResult("kept"), "replay");
      const without = ledgerWith(sealer);
      lines.length = 0;
      const begun = await without.begin(intent);
      expect(begun.state).toBe("ended");
      const { unreadable, result, state } = entryOf(begun)!;
      expect([state, result?.outcome, result?.callId, result?.name]).toEqual([
        "uncertain",
        Outcome.UNCERTAIN,
        intent.callId,
        intent.tool,
      ]);
      expect(result?.output).toContain("Do not repeat it; check first.");
      expect(unreadable).toBeDefined();
      expect(lines).toHaveLength(1);
      expect(JSON.stringify(lines)).not.toContain("missing");
      expect(sealer.notes()).toEqual([
        'encryption: stored values are encrypted with the key "one": add it to encryption.keys, or to encryption.lostKeys if it is lost',
      ]);
      expect((await without.find(intent.key))?.unreadable).toContain(
        'the key "one", which encryption.keys does not contain',
      );
      // Nor without any key.
      expect(entryOf(await ledgerWith(plainSealer).begin(intent))?.result?.outcome).toBe(Outcome.UNCERTAIN);
      expect(entryOf(await ledgerWith(createSealer([two, one])).begin(intent))?.result?.output).toBe("kept");
    });

    test("an abandoned call whose key is missing is returned as unreadable", async () => {
      const intent = intentWith("abandoned", { effect: "idempotent" });
      const owner = ledgerWith(createSealer([one]));
      await beginNew(owner, intent);
      await owner.close();
      const without = ledgerWith(createSealer([two]));
      const recovered = await without.recover(100);
      const found = recovered.find(({ entry }) => entry.key === intent.key);
      expect(found?.entry).toMatchObject({ state: "running", tool: intent.tool, callId: intent.callId });
      expect(found?.entry.unreadable).toContain('the key "one"');
      for (const { claim } of recovered) await without.finish(claim, aResult("?", Outcome.UNCERTAIN), "replay");
      expect((await without.find(intent.key))?.state).toBe("uncertain");
    });

    test("answers that were swapped, or whose key has another secret, are UNCERTAIN", async () => {
      const ledger = ledgerWith(createSealer([one]));
      const [a, b, c] = [intentWith("exchanged-a"), intentWith("exchanged-b"), intentWith("other-secret")];
      for (const intent of [a, b])
        await ledger.finish(await beginNew(ledger, intent), aResult(intent.callId), "replay");
      await stage.swapAnswers(a.key, b.key);
      const other = ledgerWith(createSealer([{ id: "one", secret: two.secret }]));
      await other.finish(await beginNew(other, c), aResult(c.callId), "replay");
      for (const intent of [a, b, c]) {
        const begun = await ledger.begin(intent);
        expect([begun.state, entryOf(begun)?.result?.outcome]).toEqual(["ended", Outcome.UNCERTAIN]);
        expect(entryOf(begun)?.unreadable).toContain('does not open with the key "one"');
        expect((await ledger.find(intent.key))?.result?.outcome).toBe(Outcome.UNCERTAIN);
      }
    });
  });
}
