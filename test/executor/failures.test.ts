import { describe, expect, test } from "vitest";
import { ToolError } from "../../src/plugin/tool-error.ts";
import { startTool } from "../../src/testing/start-tool.ts";
import { aCall, aTool, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";

describe("a failure", () => {
  test.each([
    ["an error", new Error("secret words")],
    ["a string", "secret words"],
    ["nothing", undefined],
    ["null", null],
  ])("by throwing %s reveals nothing of its message", async (_what, reason) => {
    const plain = { outcome: "FAILED", output: "Tool execution failed or timed out.", attempts: 1 };
    await using sync = await startExecutor([
      aTool({
        execute: () => {
          throw reason;
        },
      }),
    ]);
    await using late = await startTool(
      aTool({ execute: () => new Promise((_, reject) => setImmediate(reject, reason)) }),
    );
    expect(await late.call({})).toMatchObject(plain);
    const result = await sync.executor.execute(aCall(), requestIn());
    expect([outcomeOf(result), result.output]).toEqual([plain.outcome, plain.output]);
    // Its message may repeat arguments or answers: it is for developers of the tool.
    const lines = sync.log.map((line) => JSON.parse(line) as { level: number });
    expect(JSON.stringify(lines.filter(({ level }) => level > 20))).not.toContain("secret words");
    expect(lines.filter(({ level }) => level === 40)).toHaveLength(1);
  });

  test("is logged with its name and location at `warn`, and with message and stack without secrets at `debug`", async () => {
    const tool = aTool({
      configSchema: { type: "object", properties: { key: { type: "string", secret: true } } } as const,
      execute: () => {
        throw new TypeError("no field ref for hunter22");
      },
    });
    await using app = await startExecutor([tool], { settings: { config: { key: "hunter22" } } });
    await app.executor.execute(aCall(), requestIn());
    const lines = app.log.map((line) => JSON.parse(line) as { level: number; error: Record<string, string> });
    const [warning, details] = [40, 20].map((level) => lines.find((line) => line.level === level));
    expect(warning).toMatchObject({ tool: "work", call: "call-1", error: { name: "TypeError" } });
    expect(warning?.error["at"]).toMatch(/failures\.test\.ts/);
    expect(details?.error["message"]).toBe("no field ref for [secret]");
    expect(details?.error["stack"]).toMatch(/^TypeError: no field ref for \[secret\]\n +at /);
  });

  test("by a timeout is logged", async () => {
    await using app = await startExecutor([aTool({ timeoutMs: 5, execute: () => new Promise(() => {}) })]);
    await app.executor.execute(aCall(), requestIn());
    expect(app.log.map((line) => JSON.parse(line) as object)).toMatchObject([
      { level: 40, tool: "work", call: "call-1", timeout_ms: 5, msg: "tool timed out" },
    ]);
  });

  test("by a ToolError shows its author's message, within the limit", async () => {
    await using tool = await startTool(
      aTool({
        execute: ({ n }: { n: number }) => {
          throw new ToolError("x".repeat(n));
        },
      }),
    );
    expect(await tool.call({ n: 3 })).toMatchObject({ outcome: "FAILED", output: "xxx", error: { message: "xxx" } });
    expect(Buffer.byteLength((await tool.call({ n: 1_000_000 })).output)).toBe(65_536);
  });
});

describe("an unreadable error", () => {
  const unreadable = (name: string): unknown => {
    const refuse = (): never => {
      throw new Error("nobody reads this");
    };
    switch (name) {
      case "a message that throws":
        return Object.defineProperty(new ToolError("words"), "message", { get: refuse });
      case "a stack that throws":
        return Object.defineProperty(new Error("words"), "stack", { get: refuse });
      case "a stack that is a number":
        return Object.assign(new Error("words"), { stack: 5 });
      case "a name that throws":
        return Object.defineProperty(new Error("words"), "name", { get: refuse });
      default:
        return new Proxy(new Error("words"), { get: refuse, has: refuse, getPrototypeOf: refuse });
    }
  };

  test.each([
    "a message that throws",
    "a stack that throws",
    "a stack that is a number",
    "a name that throws",
    "a proxy whose traps throw",
  ])("such as %s is a failure like any other: answered, and its call ended", async (name) => {
    let broken = true;
    const tool = aTool({
      effect: "idempotent",
      execute: () => {
        if (broken) throw unreadable(name);
        return "good";
      },
    });
    await using app = await startExecutor([tool], { settings: { limits: { concurrency: 1, queue: 0 } } });
    const failed = await app.executor.execute(aCall(), requestIn());
    expect([outcomeOf(failed), failed.output]).toEqual(["FAILED", "Tool execution failed or timed out."]);
    expect(app.executor.running).toBe(0);
    // Its slot and its ledger entry are released.
    broken = false;
    expect((await app.executor.execute(aCall(), requestIn())).output).toBe("good");
  });
});
