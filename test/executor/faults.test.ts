import { ROOT_CONTEXT } from "@opentelemetry/api";
import { ConnectError } from "@connectrpc/connect";
import { describe, expect, test, vi } from "vitest";
import { createMemoryLedger } from "../../src/ledger/drivers/memory.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import type { Tool } from "../../src/plugin/tool.ts";
import { HttpError } from "../../src/plugin/http-error.ts";
import { ToolError } from "../../src/plugin/tool-error.ts";
import { PluginError } from "../../src/registry/plugin-error.ts";
import { startTool } from "../../src/testing/start-tool.ts";
import {
  aCall,
  aTool,
  caller,
  contextOf,
  type ExecutorOptions,
  gate,
  outcomeOf,
  startExecutor,
  requestIn,
} from "../support/executor.ts";

type Line = Record<string, unknown> & { level: number; msg: string; error?: Record<string, string> };

/** Starts a tool, and records its log lines. */
async function start(tool: Tool, options: ExecutorOptions = {}) {
  const app = await startExecutor([tool], options);
  return Object.assign(app, {
    lines: (message?: string): Line[] =>
      app.log.map((line) => JSON.parse(line) as Line).filter(({ msg }) => message === undefined || msg === message),
  });
}

const throwing = (reason: unknown) => () => {
  throw reason;
};

describe("an internal fault", () => {
  test("while a synchronous answer is shaped ends the call as FAILED and frees its slot", async () => {
    const redact = vi.fn((text: string): string => text).mockImplementationOnce(throwing(new Error("ours")));
    await using app = await start(aTool({ execute: throwing(new ToolError("words")) }), {
      settings: { limits: { concurrency: 1, queue: 0 } },
    });
    Object.defineProperty(app.registry.get("work", "default"), "redact", { value: redact });
    const result = await app.executor.execute(aCall(), requestIn());
    expect(result).toMatchObject({
      callId: "call-1",
      name: "work",
      output: "Tool execution failed or timed out.",
      attempts: 1,
    });
    expect(outcomeOf(result)).toBe("FAILED");
    expect(app.lines("a call failed after its tool had run")).toMatchObject([
      { level: 50, call: "call-1", err: { message: "ours" } },
    ]);
    // Its slot is free again.
    expect((await app.executor.execute(aCall(), requestIn())).output).toBe("words");
  });

  test("after a tool has returned leaves a write uncertain, and is logged", async () => {
    const memory = createMemoryLedger();
    const finish = vi.fn(memory.finish).mockRejectedValueOnce(new RangeError("ours"));
    await using app = await start(aTool({ effect: "write", execute: () => "done" }), { ledger: { ...memory, finish } });
    const result = await app.executor.execute(aCall(), requestIn());
    expect([outcomeOf(result), result.attempts, result.output]).toEqual([
      "UNCERTAIN",
      1,
      "It is not known whether this request took effect. Do not repeat it; check first.",
    ]);
    expect(app.lines("a call failed after its tool had run")).toMatchObject([{ err: { message: "ours" } }]);
  });

  test("before the run is an internal error, logged once even if several callers wait", async () => {
    const go = gate();
    const begin: Ledger["begin"] = async () => {
      await go.opened;
      throw new RangeError("ours");
    };
    await using app = await start(aTool({ effect: "write", execute: () => 1 }), {
      ledger: { ...createMemoryLedger(), begin },
    });
    const calls = [0, 1].map(() => Promise.resolve(app.executor.execute(aCall(), requestIn())));
    go.open();
    for (const call of calls) {
      const reason = (await call.catch((cause: unknown) => cause)) as ConnectError;
      expect(reason).toBeInstanceOf(ConnectError);
      expect([reason.rawMessage, (reason.cause as Error).message]).toEqual(["internal error", "ours"]);
    }
    expect(app.lines("a call could not be executed")).toMatchObject([{ level: 50, err: { message: "ours" } }]);
    expect(app.executor.running).toBe(0);
  });
});

describe("a tool that cannot work", () => {
  const failing = { open: throwing(new Error("no database")) };

  test.each(["read", "idempotent", "write"] as const)(
    "fails a %s with a message, and stores no answer",
    async (effect) => {
      await using app = await start(aTool({ effect, ...failing, execute: () => 1 }));
      for (const conversation of ["c", "c", ""]) {
        const result = await app.executor.execute(aCall(), requestIn(conversation));
        expect(result).toMatchObject({ output: "The tool work cannot work at present.", replayed: false, attempts: 0 });
        expect(outcomeOf(result)).toBe("FAILED");
        expect(await app.executor.find("call-1", contextOf(conversation), caller)).toBeUndefined();
      }
    },
  );

  test("because its isolate does not start fails with the same message, and the call may run again", async () => {
    let starts = 0;
    const execute = () => {
      if ((starts += 1) === 1) throw new PluginError({ code: "not-open", reason: "no memory" });
      return "done";
    };
    await using app = await start(aTool({ effect: "write", execute }));
    const result = await app.executor.execute(aCall(), requestIn());
    expect(result).toMatchObject({ output: "The tool work cannot work at present.", attempts: 0 });
    expect(outcomeOf(result)).toBe("FAILED");
    expect(app.executed).toMatchObject([{ ran: false }]);
    expect(await app.executor.execute(aCall(), requestIn())).toMatchObject({ output: "done", replayed: false });
  });
});

describe("what a tool throws", () => {
  test.each([
    ["a text", "winter", { name: "string" }, { message: "winter" }],
    ["nothing", undefined, { name: "undefined" }, { message: "undefined" }],
    [
      "an error without a stack",
      Object.assign(new Error("winter"), { stack: 5 }),
      { name: "Error" },
      { message: "winter" },
    ],
    [
      "an error that cannot be read",
      new Proxy(new Error("winter"), { get: throwing(new Error("x")), getPrototypeOf: throwing(new Error("x")) }),
      { name: "unreadable" },
      { message: "unreadable" },
    ],
  ])("is logged with its name and message: %s", async (_what, reason, seen, details) => {
    await using app = await start(aTool({ execute: throwing(reason) }));
    await app.executor.execute(aCall(), requestIn());
    expect(app.lines("tool failed").map(({ error }) => error)).toEqual([seen]);
    expect(app.lines("tool failed: details").map(({ error }) => error)).toEqual([details]);
  });

  test("is logged with the first line of its stack that names a place", async () => {
    const reason = Object.assign(new Error("winter"), {
      stack: "Error: winter\n  at home\n    at run (a.js:1:2)\n    at b",
    });
    await using app = await start(aTool({ execute: throwing(reason) }));
    await app.executor.execute(aCall(), requestIn());
    expect(app.lines("tool failed")[0]?.error).toEqual({ name: "Error", at: "at run (a.js:1:2)" });
    expect(app.lines("tool failed: details")[0]?.error).toEqual({ message: "winter", stack: reason.stack });
  });

  test.each([
    [399, 40],
    [400, 30],
    [499, 30],
    [500, 40],
  ])("is logged at info only if the downstream answered 4xx: %d", async (status, level) => {
    await using app = await start(aTool({ execute: throwing(new HttpError("no", { status })) }));
    await app.executor.execute(aCall(), requestIn());
    expect(app.lines("tool failed")).toMatchObject([{ level }]);
  });

  test("is replaced by the configured fallback message", async () => {
    const fallbackMessage = "Orders cannot be read right now.";
    const execute = ({ hang }: { hang?: boolean }) => (hang === true ? new Promise(() => {}) : throwing(1)());
    await using app = await start(aTool({ timeoutMs: 5, execute }), { settings: { fallbackMessage } });
    for (const hang of [true, false]) {
      expect((await app.executor.execute(aCall({ hang }, { id: "" }), requestIn())).output).toBe(fallbackMessage);
    }
  });

  test("is returned by the test kit, except for a call that did not run", async () => {
    await using tool = await startTool(aTool({ execute: throwing(new TypeError("winter")) }));
    expect(await tool.call("{")).toMatchObject({ outcome: "INVALID_ARGUMENTS", cause: undefined });
    expect(await tool.call({})).toMatchObject({ outcome: "FAILED", cause: expect.any(TypeError) as Error });
  });
});

describe("reconcile of a write", () => {
  const lost = { effect: "write", execute: throwing(new Error("lost")) } as const;

  test("that throws is logged as well", async () => {
    await using app = await start(aTool({ ...lost, reconcile: throwing(new TypeError("winter")) }));
    expect(outcomeOf(await app.executor.execute(aCall(), requestIn()))).toBe("UNCERTAIN");
    expect(app.lines().map(({ level, msg, error }) => [level, msg, error?.["name"] ?? error?.["message"]])).toEqual([
      [40, "tool failed", "Error"],
      [20, "tool failed: details", "lost"],
      [40, "reconcile failed", "TypeError"],
      [20, "reconcile failed: details", "winter"],
    ]);
  });

  test.each([["unknown"], [{}], [5], ["winter"]])("that returns %j is not logged", async (found) => {
    await using app = await start(aTool({ ...lost, reconcile: () => found as "unknown" }));
    expect(outcomeOf(await app.executor.execute(aCall(), requestIn()))).toBe("UNCERTAIN");
    expect(app.lines().map(({ msg }) => msg)).toEqual(["tool failed", "tool failed: details"]);
  });
});

describe("the trace of a call", () => {
  test("has one id in every log line if the request has none", async () => {
    for (const trace of [undefined, ROOT_CONTEXT]) {
      await using app = await start(aTool({ execute: (_args, { log }) => log.info("hello") }));
      await app.executor.execute(aCall(), requestIn("c", { trace }));
      const [line] = app.lines("hello");
      expect(line?.["trace_id"]).toMatch(/^[0-9a-f]{32}$/);
      expect(app.audit[0]?.traceId).toBe(line?.["trace_id"]);
    }
  });

  test("is in the tool's log lines of every level, with and without fields", async () => {
    const levels = ["debug", "info", "warn", "error"] as const;
    const execute: Parameters<typeof aTool>[0]["execute"] = (_args, { log }) => {
      for (const level of levels) {
        log[level]("plain");
        log[level]("rich", { x: level });
      }
    };
    await using app = await start(aTool({ execute }));
    await app.executor.execute(aCall(), requestIn());
    expect(app.lines("plain").map(({ level }) => level)).toEqual([20, 30, 40, 50]);
    expect(app.lines("rich").map(({ x }) => x)).toEqual(levels);
  });
});

test("unreadable arguments have an empty digest", async () => {
  await using app = await start(aTool({ execute: () => 1 }));
  await app.executor.execute(aCall("{"), requestIn());
  expect(app.audit).toMatchObject([{ argumentsDigest: "", outcome: "INVALID_ARGUMENTS" }]);
});

test("the duration of a call is in seconds and nanoseconds", async () => {
  const clock = vi.spyOn(performance, "now");
  try {
    let now = 1000;
    clock.mockImplementation(() => now);
    await using app = await start(aTool({ execute: () => void (now += 2_500) }));
    const { duration } = await app.executor.execute(aCall(), requestIn());
    expect([duration?.seconds, duration?.nanos]).toEqual([2n, 500_000_000]);
    expect(app.audit[0]?.latencyMs).toBe(2_500);
  } finally {
    clock.mockRestore();
  }
});
