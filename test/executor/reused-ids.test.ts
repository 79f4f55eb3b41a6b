import { describe, expect, test, vi } from "vitest";
import { ToolError } from "../../src/plugin/tool-error.ts";
import type { Effect } from "../../src/plugin/tool.ts";
import { aCall, aTool, caller, contextOf, outcomeOf, requestIn, startExecutor } from "../support/executor.ts";

const effects: Effect[] = ["read", "idempotent", "write"];

describe.each(effects)("another call under the id of a %s call", (effect) => {
  test.each(effects)(
    "of a %s tool is a conflict if the id was used, and the first call keeps its answer",
    async (other) => {
      const execute = vi.fn(() => ({ run: 1 }));
      const tool = aTool({ effect, execute });
      const reuse = aTool({ name: "other", effect: other, execute: () => "other" });
      await using app = await startExecutor([tool, reuse]);
      await app.executor.execute(aCall({ a: 1 }), requestIn());
      for (let time = 1; time <= 2; time++) {
        expect(outcomeOf(await app.executor.execute(aCall({ a: 1 }, { name: "other" }), requestIn()))).toBe("CONFLICT");
        expect(await app.executor.execute(aCall({ a: 1 }), requestIn())).toMatchObject({
          output: '{"run":1}',
          replayed: true,
        });
      }
      expect((await app.executor.find("call-1", contextOf("conversation-1"), caller))?.result?.output).toBe(
        '{"run":1}',
      );
      expect(execute).toHaveBeenCalledOnce();
    },
  );
});

test("a repeat of a write gets the ledger's answer where a read of this process has reused its id", async () => {
  const write = vi.fn(() => "written");
  const tools = [aTool({ effect: "write", execute: write }), aTool({ name: "look", execute: () => "seen" })];
  await using one = await startExecutor(tools);
  await using two = await startExecutor(tools, { ledger: one.ledger });
  await one.executor.execute(aCall({ a: 1 }), requestIn());
  // A read does not ask the ledger, so that this replica cannot know.
  expect(await two.executor.execute(aCall({ a: 1 }, { name: "look" }), requestIn())).toMatchObject({ output: "seen" });
  expect(await two.executor.execute(aCall({ a: 1 }), requestIn())).toMatchObject({ output: "written", replayed: true });
  const found = await two.executor.find("call-1", contextOf("conversation-1"), caller);
  expect(found?.result?.output).toBe("written");
  expect(outcomeOf(await two.executor.execute(aCall({ a: 1 }, { name: "look" }), requestIn()))).toBe("CONFLICT");
  expect(write).toHaveBeenCalledOnce();
});

test("a call that failed and may run again leaves its id to any other call", async () => {
  const failing = aTool({
    effect: "idempotent",
    execute: () => {
      throw new ToolError("no luck");
    },
  });
  await using app = await startExecutor([failing, aTool({ name: "look", execute: () => "seen" })]);
  await app.executor.execute(aCall(), requestIn());
  expect(await app.executor.execute(aCall({}, { name: "look" }), requestIn())).toMatchObject({ output: "seen" });
});
