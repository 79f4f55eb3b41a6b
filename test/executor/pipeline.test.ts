import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ToolError } from "../../src/plugin/tool-error.ts";
import { aCall, aTool, gate, outcomeOf, startExecutor, within } from "../support/executor.ts";

const room = join(import.meta.dirname, "../../src/executor");

test("only the observer knows OpenTelemetry and writes telemetry", () => {
  const knowing = globSync("**/*.ts", { cwd: room }).filter((file) => {
    const source = readFileSync(join(room, file), "utf8");
    return /@opentelemetry|telemetry\.(metrics|audit|begin|log)\b/.test(source);
  });
  expect(knowing.toSorted()).toEqual(["executor.ts", "observe.ts"]);
  expect(readFileSync(join(room, "executor.ts"), "utf8")).not.toContain("@opentelemetry");
});

test("every stage is on the list", () => {
  const list = readFileSync(join(room, "pipeline.ts"), "utf8");
  for (const file of globSync("stages/*.ts", { cwd: room })) expect(list).toContain(`"./${file}"`);
});

test("a result has every field, copied or not", async () => {
  await using app = await startExecutor([aTool({ execute: () => ({ a: [1] }) })]);
  const result = await app.executor.execute(aCall(), within());
  expect(Object.keys({ ...result })).toContain("value");
  expect({ ...result }.value).toEqual(result.value);
  expect(JSON.stringify(result.value)).toContain("1");
});

test.each([
  ["write", "UNCERTAIN"],
  ["idempotent", "FAILED"],
] as const)("a fault of ours after the function of a %s was called ends it as %s", async (effect, outcome) => {
  const go = gate();
  const execute = async () => {
    await go.opened;
    throw new ToolError("words");
  };
  await using app = await startExecutor([aTool({ effect, execute })]);
  const running = app.executor.execute(aCall(), within());
  let faults = 0;
  const redact = (text: string): string => {
    if (faults++ === 0) throw new Error("a fault of ours");
    return text;
  };
  Object.defineProperty(app.registry.get("work", "default"), "redact", { value: redact });
  go.open();
  expect(outcomeOf(await running)).toBe(outcome);
  expect(app.executor.running).toBe(0);
  expect(app.log.join()).toContain("a call failed after its tool had run");
});
