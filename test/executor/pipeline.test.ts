import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ToolError } from "../../src/plugin/tool-error.ts";
import { startTool } from "../../src/testing/start-tool.ts";
import { aCall, aTool, caller, contextOf, gate, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";

const room = join(import.meta.dirname, "../../src/executor");

test("only the observer imports OpenTelemetry and writes telemetry", () => {
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

test.each([
  ["at once", () => 1],
  ["later", () => new Promise(setImmediate)],
  ["by a fault", () => Promise.reject(new Error("odd"))],
])("a call that ends %s has a duration", async (_how, execute) => {
  await using app = await startExecutor([aTool({ execute })]);
  const startedAt = performance.now();
  const { duration } = await app.executor.execute(aCall(), requestIn());
  const passed = performance.now() - startedAt;
  const ms = Number(duration!.seconds) * 1000 + duration!.nanos / 1e6;
  expect(ms).toBeGreaterThan(0);
  expect(ms).toBeLessThanOrEqual(passed);
});

test("a result has every field, whether copied or not", async () => {
  await using app = await startExecutor([aTool({ execute: () => ({ a: [1] }) })]);
  const result = await app.executor.execute(aCall(), requestIn());
  expect(Object.keys({ ...result })).toContain("value");
  expect({ ...result }.value).toEqual(result.value);
  expect(JSON.stringify(result.value)).toContain("1");
});

test.each([
  ["write", "UNCERTAIN"],
  ["idempotent", "FAILED"],
] as const)("an internal error after the function of a %s was called ends it as %s", async (effect, outcome) => {
  const go = gate();
  const execute = async () => {
    await go.opened;
    throw new ToolError("words");
  };
  await using app = await startExecutor([aTool({ effect, execute })]);
  const running = app.executor.execute(aCall(), requestIn());
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

test("a source with unique ids needs no scope, whatever its name", async () => {
  let runs = 0;
  await using app = await startExecutor([aTool({ effect: "write", execute: () => ++runs })]);
  const unique = requestIn("", { caller: { ...caller, name: "some-platform", uniqueCallIds: true } });
  const named = requestIn("", { caller: { ...caller, name: "cognigy" } });
  for (const request of [unique, unique]) expect((await app.executor.execute(aCall(), request)).output).toBe("1");
  for (const output of ["2", "3"]) expect((await app.executor.execute(aCall(), named)).output).toBe(output);
  // A caller on behalf of the source finds the call, too.
  const asked = { ...contextOf(""), source: "some-platform" };
  expect((await app.executor.find("call-1", asked, caller))?.result?.output).toBe("1");
});

test("the test kit shows what a tool threw", async () => {
  const execute = ({ how }: { how?: string }) => {
    if (how === "bug") throw new TypeError("no field ref");
    return "done";
  };
  await using tool = await startTool(aTool({ execute }));
  const { output, cause } = await tool.call({ how: "bug" });
  expect([output, (cause as Error).message]).toEqual(["Tool execution failed or timed out.", "no field ref"]);
  expect((await tool.call({})).cause).toBeUndefined();
});
