import { defineTool } from "jackfield/plugin";

const returns: Record<string, () => unknown> = {
  undefined: () => undefined,
  nan: () => Number.NaN,
  bigint: () => 10n,
  symbol: () => Symbol("x"),
  function: () => () => 1,
  cycle: () => {
    const cycle: { self?: unknown } = {};
    cycle.self = cycle;
    return cycle;
  },
  date: () => new Date(0),
  map: () => new Map([["a", 1]]),
  large: () => ({ rows: Array.from({ length: 5000 }, (_, index) => ({ index, text: "😀".repeat(20) })) }),
  long: () => "😀".repeat(200_000),
  number: () => 7,
  text: () => "Grüße",
  null: () => null,
  list: () => [1, "a"],
  throw: () => {
    throw new Error("inner words");
  },
  text_thrown: () => {
    throw "words" as unknown as Error;
  },
  never: () => new Promise(() => {}),
};

export default defineTool({
  name: "odd",
  description: "Answers oddly.",
  inputSchema: { type: "object", properties: { how: { type: "string" } }, required: ["how"] },
  effect: "read",
  execute: ({ how }) => returns[how]?.(),
});
