import { expect, test } from "vitest";
import { createErasures, erasureMs } from "../../src/ledger/drivers/erasures.ts";

const selector = { tenant: "t", conversationId: "c" };
const stored = (id: string) => [id, JSON.stringify(selector)] as const;

test("an erasure is reported once, as long as the server keeps it", () => {
  const erasures = createErasures();
  const told: unknown[] = [];
  const stop = erasures.onErased((one) => told.push(one));
  erasures.saw(0, [stored("a")]);
  erasures.saw(800, [stored("a"), stored("b")]);
  erasures.saw(1600, [stored("b")]);
  expect(told).toEqual([selector, selector]);
  stop();
  erasures.saw(2400, [stored("c")]);
  expect(told.length).toBe(2);
});

test("a process that has not heard of the server for as long as it keeps erasures deletes everything", () => {
  const erasures = createErasures();
  const told: unknown[] = [];
  erasures.onErased((one) => told.push(one));
  erasures.saw(1000, []);
  erasures.saw(999 + erasureMs, []);
  expect(told).toEqual([]);
  erasures.saw(999 + 2 * erasureMs, []);
  expect(told).toEqual(["all"]);
});

test("an erasure that this version cannot read deletes everything", () => {
  const erasures = createErasures();
  const told: unknown[] = [];
  erasures.onErased((one) => told.push(one));
  erasures.saw(0, [["a", "of a later version"]]);
  expect(told).toEqual(["all"]);
});
