import { expect, test } from "vitest";
import { selects } from "../../src/ledger/selects.ts";

const scope = { tenant: "t", source: "s", conversationId: "c", sessionId: "", runId: "r" };

test("a selector matches the calls of its conversation, its run, or both", () => {
  expect(selects({ tenant: "t", conversationId: "c" }, scope)).toBe(true);
  expect(selects({ tenant: "t", runId: "r" }, scope)).toBe(true);
  expect(selects({ tenant: "t", source: "s", conversationId: "c", runId: "r" }, scope)).toBe(true);
});

test("a selector matches no call that differs in any given part", () => {
  for (const other of [{ tenant: "x" }, { source: "x" }, { conversationId: "x" }, { runId: "x" }])
    expect(selects({ tenant: "t", source: "s", conversationId: "c", runId: "r", ...other }, scope)).toBe(false);
});

test("a selector without conversation and run matches nothing", () => {
  expect(selects({ tenant: "t", source: "s" }, scope)).toBe(false);
  expect(selects({ tenant: "t" }, { ...scope, conversationId: "", runId: "" })).toBe(false);
});
