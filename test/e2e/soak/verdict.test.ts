import { expect, test } from "vitest";
import { type Answer, readAnswer } from "./answer.ts";
import type { Call } from "./doors.ts";
import { createHistory, type History, type Verdict } from "./history.ts";
import { findGrowth, type Sample, slopeOf } from "./watch.ts";

const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";
const call = (tool: Call["tool"], id = "a"): Call => ({ id, tool, arguments: { id, delay: 0 } });
const ok = (number: number): Answer => readAnswer(JSON.stringify({ id: "a", number }));

interface World {
  /** Numbers of the effects of the call `a`, by key. */
  readonly effects?: Readonly<Record<string, readonly number[]>>;
  /** The delivery of the run's job: calls and outputs. */
  readonly delivered?: Readonly<Record<string, string>>;
  readonly taken?: number;
  readonly differs?: boolean;
  readonly dead?: boolean;
}

function judge(tell: (history: History) => void, world: World): Verdict {
  const history = createHistory();
  tell(history);
  const { effects = {}, delivered, taken = 1, differs = false, dead = false } = world;
  const outputs = Object.entries(delivered ?? {}).map(([id, output]) => ({ id, output }));
  return history.judge(
    new Map([["a", { numbers: Object.values(effects).flat(), keys: new Set(Object.keys(effects)) }]]),
    new Map(delivered && [["job", { runId: "run", outputs, digest: "", tries: 1, taken, differs }]]),
    new Map(dead ? [["job", "given up"]] : []),
  );
}

const broken = (verdict: Verdict): string[] =>
  Object.entries(verdict).flatMap(([kind, list]: [string, readonly string[]]) => list.map(() => kind));

const answers =
  (tool: Call["tool"], ...given: readonly Answer[]) =>
  (history: History): void =>
    given.forEach((answer) => history.answered(call(tool), answer));
const accepts = (history: History): void => history.acknowledged("run", "job", [call("put")]);
const done = '{"id":"a","number":7}';

test.each<[string, (history: History) => void, World]>([
  ["a write that was answered and happened once", answers("put", ok(7), ok(7)), { effects: { key: [7] } }],
  ["a call that was not known, and became so", answers("put", readAnswer(uncertain), ok(7)), { effects: { key: [7] } }],
  ["a failure without an effect", answers("put", readAnswer("Tool execution failed or timed out.")), {}],
  [
    "an idempotent call that failed and was run again",
    answers("set", readAnswer("no"), ok(7)),
    { effects: { k: [7] } },
  ],
  [
    "a call that runs, and then its answer",
    answers("put", readAnswer("Please retry."), ok(7)),
    { effects: { k: [7] } },
  ],
  ["a batch that was delivered", accepts, { effects: { key: [7] }, delivered: { a: done } }],
  ["a batch that is a dead letter", accepts, { dead: true }],
])("%s violates nothing", (_, tell, world) => {
  expect(broken(judge(tell, world))).toEqual([]);
});

test.each<[string, keyof Verdict, (history: History) => void, World]>([
  ["an answer OK without an effect", "lost", answers("put", ok(7)), {}],
  ["an answer OK with another effect", "lost", answers("put", ok(7)), { effects: { key: [8] } }],
  ["a batch that was never delivered", "lost", accepts, {}],
  ["a batch that the platform has refused", "lost", accepts, { delivered: { a: done }, taken: 0 }],
  ["a delivery OK without an effect", "lost", accepts, { delivered: { a: done } }],
  ["two effects", "doubled", answers("put", ok(7)), { effects: { key: [7, 8] } }],
  ["two keys", "doubled", answers("set", ok(7)), { effects: { one: [7], other: [] } }],
  ["another answer", "changed", answers("put", ok(8), ok(7)), { effects: { key: [7] } }],
  ["an answer taken back", "changed", answers("put", ok(7), readAnswer(uncertain)), { effects: { key: [7] } }],
  ["deliveries that differ", "changed", accepts, { effects: { key: [7] }, delivered: { a: done }, differs: true }],
  ["an effect told as a failure", "untrue", answers("put", readAnswer("failed")), { effects: { key: [7] } }],
  [
    "the same inside an error of Genesys",
    "untrue",
    answers("put", readAnswer('{"error":"no"}')),
    { effects: { k: [7] } },
  ],
  ["an idempotent call that is not known", "untrue", answers("set", readAnswer(uncertain)), {}],
  ["no answer", "unanswered", (history) => history.unanswered("a", "503"), {}],
])("%s is detected", (_, kind, tell, world) => {
  expect(broken(judge(tell, world))).toEqual([kind]);
});

test("a batch that became two jobs is detected", () => {
  const verdict = judge(
    (history) => {
      history.acknowledged("run", "other", [call("put")]);
      accepts(history);
    },
    { effects: { key: [7] }, delivered: { a: done } },
  );
  expect(broken(verdict)).toEqual(["changed"]);
});

const sample = (index: number, over: Partial<Sample> = {}): Sample => ({
  requests: index * 10_000,
  at: index,
  rssMb: 200 + (index % 2),
  liveMb: 50,
  handles: 40,
  rows: { entries: 10, jobs: 1 },
  ...over,
});
const late = Array.from({ length: 11 }, (_, index) => sample(index));
const quiet = sample(11, { handles: 20, rows: { entries: 0, jobs: 1 } });
const growth = (over: Partial<Parameters<typeof findGrowth>[0]>): readonly string[] =>
  findGrowth({ samples: late, late, stuck: [], last: quiet, dead: 1, maxRows: 20, ...over }).problems;

test("the slope is that of a line through the samples, per 1,000 requests", () => {
  expect(slopeOf(late, ({ requests }) => 5 + requests / 500)).toBeCloseTo(2);
});

test("constant samples show no growth", () => {
  expect(growth({})).toEqual([]);
});

test.each<[string, Partial<Parameters<typeof findGrowth>[0]>]>([
  ["memory", { late: late.map((one, index) => ({ ...one, rssMb: 200 + index })) }],
  ["memory in use", { late: late.map((one, index) => ({ ...one, liveMb: 50 + index })) }],
  ["handles", { last: { ...quiet, handles: 41 } }],
  ["rows under load", { late: [sample(0, { rows: { entries: 21, jobs: 0 } })] }],
  ["entries that stay", { last: { ...quiet, rows: { entries: 1, jobs: 1 } } }],
  ["jobs that stay", { last: { ...quiet, rows: { entries: 0, jobs: 2 } } }],
  ["a fault that does not end", { stuck: ["store: database locked"] }],
])("growth of %s is detected", (_, over) => {
  expect(growth(over)).toHaveLength(1);
});
