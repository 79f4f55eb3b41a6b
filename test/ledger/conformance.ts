import { equals } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Outcome, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import { type Ledger, LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import { aResult, anIntent, beginNew } from "./samples.ts";
import { entryOf, stateOf } from "./stage.ts";
import type { LedgerStage } from "./stage.ts";
import { takeoverConformance } from "./takeover-conformance.ts";

/** Proves that a driver implements the ledger. `unavailable`: the reason why it cannot be tested here. */
export function ledgerConformance(
  name: string,
  openStage: () => Promise<LedgerStage>,
  options: { replicas?: boolean; unavailable?: string | undefined } = {},
): void {
  const { replicas = true, unavailable } = options;
  if (unavailable !== undefined) {
    describe.skip(`${name}: ${unavailable}`, () => {
      test("is not tested here", () => {});
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

    test("a new intent is ours, and is stored as given", async () => {
      const intent = anIntent({ timeoutMs: 60_000 });
      const claim = await beginNew(ledger, intent);
      expect(claim.key).toBe(intent.key);
      const entry = await ledger.find(intent.key);
      expect(entry).toMatchObject({ ...intent, state: "running", result: undefined });
      expect(Math.abs((entry?.createdAt ?? 0) - Date.now())).toBeLessThan(60_000);
      // The run may last longer than its time: the answer to `begin` takes time, and so does a request.
      expect((entry?.endsAt ?? 0) - (entry?.createdAt ?? 0)).toBeGreaterThan(intent.timeoutMs);
      expect(claim.sendUntil).toBeLessThan(performance.now() + (entry?.endsAt ?? 0) - (entry?.createdAt ?? 0));
    });

    test("an unknown key is not found", async () => {
      expect(await ledger.find("nothing")).toBeUndefined();
    });

    test("the same call again, while it runs, is running", async () => {
      const intent = anIntent();
      await beginNew(ledger, intent);
      const begun = await ledger.begin(intent);
      expect(begun.state).toBe("running");
      expect(entryOf(begun)).toMatchObject(intent);
    });

    test("other arguments under a known key are a conflict, running or ended", async () => {
      const intent = anIntent();
      const claim = await beginNew(ledger, intent);
      const other = { ...intent, digest: "digest-2" };
      expect(stateOf(await ledger.begin(other))).toBe("conflict");
      await ledger.finish(claim, aResult(), "replay");
      expect(stateOf(await ledger.begin(other))).toBe("conflict");
      expect(stateOf(await ledger.begin(intent))).toBe("ended");
    });

    test("an outcome for replay is what the same call gets, equal in every field", async () => {
      const intent = anIntent();
      const claim = await beginNew(ledger, intent);
      const result = aResult("ünïcödé 😀 \u0000");
      expect(await ledger.finish(claim, result, "replay")).toEqual({ state: "stored" });
      const entry = entryOf(await ledger.begin(intent));
      expect(entry?.state).toBe("done");
      expect(entry?.result !== undefined && equals(ToolResultSchema, entry.result, result)).toBe(true);
    });

    test("an uncertain outcome is stored as such, and settled once by its owner's later knowledge", async () => {
      const intent = anIntent();
      const claim = await beginNew(ledger, intent);
      await ledger.finish(claim, aResult("?", Outcome.UNCERTAIN), "replay");
      expect((await ledger.find(intent.key))?.state).toBe("uncertain");
      expect(entryOf(await ledger.begin(intent))?.state).toBe("uncertain");
      expect(await ledger.finish(claim, aResult("returned after all"), "replay")).toEqual({ state: "stored" });
      await ledger.finish(claim, aResult("again"), "replay");
      expect((await ledger.find(intent.key))?.result?.output).toBe("returned after all");
    });

    test("an outcome that is not for replay is found by key, and the same call runs again", async () => {
      const intent = anIntent({ effect: "read" });
      await ledger.finish(await beginNew(ledger, intent), aResult("shown"), "show");
      expect((await ledger.find(intent.key))?.result?.output).toBe("shown");
      const again = await beginNew(ledger, { ...intent, digest: "digest-2" });
      expect(await ledger.find(intent.key)).toMatchObject({ state: "running", digest: "digest-2", result: undefined });
      await ledger.finish(again, aResult("again"), "replay");
      expect((await ledger.find(intent.key))?.result?.output).toBe("again");
    });

    test("a dropped outcome leaves nothing, and the same call runs again", async () => {
      const intent = anIntent();
      await ledger.finish(await beginNew(ledger, intent), aResult(), "drop");
      expect(await ledger.find(intent.key)).toBeUndefined();
      expect(stateOf(await ledger.begin(intent))).toBe("new");
    });

    test("a late drop does not delete the entry of the next run", async () => {
      const intent = anIntent({ effect: "idempotent" });
      const first = await beginNew(ledger, intent);
      await ledger.finish(first, aResult(), "drop");
      const second = await beginNew(ledger, intent);
      await ledger.finish(first, aResult(), "drop");
      expect((await ledger.find(intent.key))?.state).toBe("running");
      expect(await ledger.finish(first, aResult("late"), "replay")).toMatchObject({
        state: "superseded",
        entry: { state: "running" },
      });
      expect(await ledger.finish(second, aResult("second"), "replay")).toEqual({ state: "stored" });
      expect((await ledger.find(intent.key))?.result?.output).toBe("second");
    });

    test("the first outcome stays: a second one for the same call is ignored", async () => {
      const intent = anIntent();
      const claim = await beginNew(ledger, intent);
      await ledger.finish(claim, aResult("first"), "replay");
      await ledger.finish(claim, aResult("second"), "replay");
      await ledger.finish(claim, aResult("third"), "drop");
      expect((await ledger.find(intent.key))?.result?.output).toBe("first");
    });

    test("a released intent leaves nothing, and the same call may begin again", async () => {
      const intent = anIntent();
      const claim = await beginNew(ledger, intent);
      await ledger.release(claim);
      expect(await ledger.find(intent.key)).toBeUndefined();
      const again = await beginNew(ledger, intent);
      await ledger.release(claim);
      expect((await ledger.find(intent.key))?.state).toBe("running");
      await ledger.release(again);
    });

    test("an entry that the store has lost is written again with its outcome", async () => {
      const intent = anIntent();
      const claim = await beginNew(ledger, intent);
      await stage.lose(intent.key);
      expect(await ledger.finish(claim, aResult("happened"), "replay")).toEqual({ state: "stored" });
      expect(entryOf(await ledger.begin(intent))).toMatchObject({ state: "done", result: { output: "happened" } });
    });

    test("of 1,000 concurrent begins of one key, one is new", async () => {
      const intent = anIntent();
      // A loaded server may answer some requests too late: these are repeated, as by callers.
      const begin = async (): Promise<string> => {
        for (;;) {
          const state = await ledger.begin(intent).then(stateOf, (reason: unknown) => {
            if (!(reason instanceof LedgerUnavailableError)) throw reason;
          });
          if (state !== undefined) return state;
          await new Promise((resolve) => setImmediate(resolve));
        }
      };
      const states = await Promise.all(Array.from({ length: 1_000 }, begin));
      expect(states.filter((state) => state === "new")).toHaveLength(1);
      expect(states.filter((state) => state === "running")).toHaveLength(999);
    });

    test("erasing a conversation deletes its ended calls, and nothing else", async () => {
      const ended = anIntent({ conversationId: "to-forget" });
      const running = anIntent({ conversationId: "to-forget" });
      const elsewhere = anIntent({ conversationId: "to-keep" });
      const otherTenant = anIntent({ conversationId: "to-forget", tenant: "other" });
      await beginNew(ledger, running);
      for (const intent of [ended, elsewhere, otherTenant])
        await ledger.finish(await beginNew(ledger, intent), aResult(), "replay");
      expect(await ledger.erase({ tenant: "default", source: "another", conversationId: "to-forget" })).toBe(0);
      expect(await ledger.erase({ tenant: "default", source: "genesys", conversationId: "to-forget" })).toBe(1);
      expect(await ledger.find(ended.key)).toBeUndefined();
      expect((await ledger.find(running.key))?.state).toBe("running");
      expect((await ledger.find(elsewhere.key))?.state).toBe("done");
      expect((await ledger.find(otherTenant.key))?.state).toBe("done");
      expect(await ledger.erase({ tenant: "default", conversationId: "to-forget" })).toBe(0);
    });

    test("a call that begins again under a key that is free belongs to its new conversation, run and source", async () => {
      const before = anIntent({ conversationId: "old", runId: "old run" });
      await ledger.finish(await beginNew(ledger, before), aResult(), "show");
      const scope = { ...before.scope, source: "cognigy", conversationId: "new", runId: "new run" };
      const again = { ...before, scope };
      await ledger.finish(await beginNew(ledger, again), aResult(), "replay");
      const [tenant, source] = ["default", "cognigy"];
      expect(await ledger.erase({ tenant, conversationId: "old" })).toBe(0);
      expect(await ledger.erase({ tenant, runId: "old run" })).toBe(0);
      expect(await ledger.erase({ tenant, conversationId: "new", source: "genesys" })).toBe(0);
      expect(await ledger.erase({ tenant, conversationId: "new", runId: "new run", source })).toBe(1);
      expect(await ledger.find(before.key)).toBeUndefined();
    });

    test("a scope with NUL and backslashes is stored, and erased by that scope alone", async () => {
      const [tenant, source] = ["default", "so\u0000\\0urce"];
      const intent = anIntent({ conversationId: "a\u0000\\" });
      const odd = { ...intent, scope: { ...intent.scope, source } };
      await ledger.finish(await beginNew(ledger, odd), aResult(), "replay");
      expect((await ledger.find(odd.key))?.scope).toEqual(odd.scope);
      const conversationId = odd.scope.conversationId;
      expect(await ledger.erase({ tenant, conversationId, source: "so\\0\\0urce" })).toBe(0);
      expect(await ledger.erase({ tenant, conversationId, source })).toBe(1);
    });

    test("erasing a run deletes its ended calls, and nothing else", async () => {
      const inRun = anIntent({ conversationId: "shared", runId: "run-1" });
      const otherRun = anIntent({ conversationId: "shared", runId: "run-2" });
      for (const intent of [inRun, otherRun]) await ledger.finish(await beginNew(ledger, intent), aResult(), "replay");
      expect(await ledger.erase({ tenant: "other", runId: "run-1" })).toBe(0);
      expect(await ledger.erase({ tenant: "default", conversationId: "elsewhere", runId: "run-1" })).toBe(0);
      expect(await ledger.erase({ tenant: "default", runId: "run-1" })).toBe(1);
      expect(await ledger.find(inRun.key)).toBeUndefined();
      expect(await ledger.erase({ tenant: "default", conversationId: "shared", runId: "run-2" })).toBe(1);
      expect(await ledger.find(otherRun.key)).toBeUndefined();
    });

    test("calls without a conversation are not treated as one conversation", async () => {
      const intent = anIntent({ conversationId: "" });
      await ledger.finish(await beginNew(ledger, intent), aResult(), "replay");
      expect(await ledger.erase({ tenant: "default", conversationId: "", runId: "" })).toBe(0);
      expect((await ledger.find(intent.key))?.state).toBe("done");
    });

    test("calls that ended before the window are deleted, running ones never are", async () => {
      const ended = anIntent();
      const running = anIntent();
      await beginNew(ledger, running);
      await ledger.finish(await beginNew(ledger, ended), aResult(), "replay");
      await ledger.erase({ olderThanMs: 3_600_000, uncertainOlderThanMs: 0 });
      expect((await ledger.find(ended.key))?.state).toBe("done");
      expect(await ledger.erase({ olderThanMs: 0, uncertainOlderThanMs: 3_600_000 })).toBeGreaterThan(0);
      expect(await ledger.find(ended.key)).toBeUndefined();
      expect((await ledger.find(running.key))?.state).toBe("running");
      expect(stateOf(await ledger.begin(ended))).toBe("new");
    });

    test("uncertain outcomes have their own retention", async () => {
      const [known, unknown] = [anIntent(), anIntent()];
      await ledger.finish(await beginNew(ledger, known), aResult(), "replay");
      await ledger.finish(await beginNew(ledger, unknown), aResult("?", Outcome.UNCERTAIN), "replay");
      const forgotten = async (): Promise<boolean> => {
        await ledger.erase({ olderThanMs: 500, uncertainOlderThanMs: 3_600_000 });
        return (await ledger.find(known.key)) === undefined;
      };
      await expect.poll(forgotten, { timeout: 3_000 }).toBe(true);
      expect((await ledger.find(unknown.key))?.state).toBe("uncertain");
      expect(await ledger.erase({ olderThanMs: 3_600_000, uncertainOlderThanMs: 0 })).toBeGreaterThan(0);
      expect(await ledger.find(unknown.key)).toBeUndefined();
    });

    test("a call keeps its arguments and its answer, however large", async () => {
      const intent = anIntent({ argumentsJson: JSON.stringify({ text: "x".repeat(200_000) }) });
      await ledger.finish(await beginNew(ledger, intent), aResult("y".repeat(65_536)), "replay");
      const entry = await ledger.find(intent.key);
      expect(entry?.argumentsJson).toBe(intent.argumentsJson);
      expect(entry?.result?.output).toHaveLength(65_536);
    });

    test("a ping succeeds if an intent can be taken", async () => {
      await expect(ledger.ping()).resolves.toBeUndefined();
    });

    test("no calls of living owners are taken over", async () => {
      await beginNew(ledger, anIntent({ effect: "idempotent" }));
      expect(await ledger.recover(100)).toEqual([]);
    });

    takeoverConformance(() => ({ stage, ledger }), { replicas });
  });
}
