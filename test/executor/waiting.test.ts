import { describe, expect, test, vi } from "vitest";
import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { cancellationFromSignal } from "../../src/executor/cancellation.ts";
import { createMemoryLedger, createMemoryLedgerServer } from "../../src/ledger/drivers/memory.ts";
import { errorResult } from "../../src/executor/tool-result.ts";
import { type LedgerEntry, LedgerUnavailableError } from "../../src/ledger/ledger.ts";
import { ToolError } from "../../src/plugin/tool-error.ts";
import { aCall, aTool, caller, contextOf, gate, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";

const never = (): Promise<never> => new Promise(() => {});
const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";

describe("a call that outlives its answer deadline", () => {
  test("is not recorded if it ends before its deadline is handled", async () => {
    const memory = createMemoryLedger();
    const begin = vi.fn(memory.begin);
    const go = gate();
    await using app = await startExecutor([aTool({ execute: () => go.opened.then(() => "done") })], {
      ledger: { ...memory, begin },
    });
    const answers = Array.from({ length: 40 }, async (_, n) => {
      const answer = await app.executor.execute(aCall({}, { id: `${n}` }), requestIn("c", { answerWithinMs: 5 }));
      // All deadlines pass in one turn of the event loop. Most are handled in later turns, when their calls have ended.
      setImmediate(go.open);
      return outcomeOf(answer);
    });
    const outcomes = await Promise.all(answers);
    await new Promise(setImmediate);
    const pending = outcomes.filter((outcome) => outcome === "PENDING").length;
    expect(new Set(outcomes)).toEqual(new Set(["PENDING", "OK"]));
    expect(begin).toHaveBeenCalledTimes(pending);
  });

  test("while it is queued runs later", async () => {
    const go = gate();
    const tool = aTool({ effect: "write", execute: async ({ n }: { n: number }) => (await go.opened, n) });
    await using app = await startExecutor([tool], { settings: { limits: { concurrency: 1, queue: 1 } } });
    const first = app.executor.execute(aCall({ n: 1 }, { id: "1" }), requestIn());
    const queued = await app.executor.execute(
      aCall({ n: 2 }, { id: "2" }),
      requestIn("conversation-1", { answerWithinMs: 1 }),
    );
    expect(outcomeOf(queued)).toBe("PENDING");
    go.open();
    expect((await first).output).toBe("1");
    const wait = app.executor.wait("2", contextOf("conversation-1"), caller, AbortSignal.timeout(5000));
    expect(await wait).toMatchObject({ state: CallState.DONE, result: { output: "2" } });
  });

  test("while it is queued and is then cancelled is found with its result, also by another process", async () => {
    const server = createMemoryLedgerServer();
    const app = await startExecutor([aTool({ execute: never })], {
      ledger: createMemoryLedger({ server }),
      settings: { limits: { concurrency: 1, queue: 1 } },
    });
    void app.executor.execute(aCall({}, { id: "1" }), requestIn("c", { answerWithinMs: 0 }));
    const queued = await app.executor.execute(aCall({}, { id: "2" }), requestIn("c", { answerWithinMs: 0 }));
    expect(outcomeOf(queued)).toBe("PENDING");
    await app.executor.drain(AbortSignal.abort());
    await using other = await startExecutor([], { ledger: createMemoryLedger({ server }) });
    const wait = other.executor.wait("2", contextOf("c"), caller, AbortSignal.timeout(5000));
    expect(await wait).toMatchObject({
      state: CallState.DONE,
      result: { callId: "2", output: "The request was cancelled." },
    });
    await app[Symbol.asyncDispose]();
  });

  test("and then fails is found with its failure, and runs again when it is repeated", async () => {
    for (const effect of ["read", "idempotent"] as const) {
      let runs = 0;
      const go = gate();
      const execute = async () => {
        await go.opened;
        if (++runs === 1) throw new ToolError("no luck");
        return "luck";
      };
      await using app = await startExecutor([aTool({ effect, execute })]);
      await app.executor.execute(aCall(), requestIn("c", { answerWithinMs: 0 }));
      go.open();
      const wait = app.executor.wait("call-1", contextOf("c"), caller, AbortSignal.timeout(5000));
      expect(await wait).toMatchObject({ state: CallState.DONE, result: { output: "no luck" } });
      expect(await app.executor.execute(aCall(), requestIn("c"))).toMatchObject({ output: "luck", replayed: false });
    }
  });

  test("and cannot be recorded continues, and one log line says why", async () => {
    const begin = async (): Promise<never> => {
      throw new LedgerUnavailableError("the disk is full");
    };
    const go = gate();
    await using app = await startExecutor([aTool({ execute: () => go.opened.then(() => "done") })], {
      ledger: { ...createMemoryLedger(), begin },
    });
    const execute = () => app.executor.execute(aCall(), requestIn("c", { answerWithinMs: 0 }));
    for (let n = 0; n < 2; n += 1) expect(outcomeOf(await execute())).toBe("PENDING");
    go.open();
    const wait = app.executor.wait("call-1", contextOf("c"), caller, AbortSignal.timeout(5000));
    expect(await wait).toMatchObject({ state: CallState.DONE, result: { output: "done" } });
    expect(app.log.map((line) => JSON.parse(line) as object)).toMatchObject([
      {
        level: 40,
        msg: "a call that outlived its answer deadline could not be recorded",
        call: "call-1",
        err: { message: "the disk is full" },
      },
    ]);
  });

  test("is not cancelled by a later caller that disconnects", async () => {
    const go = gate();
    let signal: AbortSignal | undefined;
    const tool = aTool({ execute: async (_args, context) => ((signal = context.signal), await go.opened, "done") });
    await using app = await startExecutor([tool]);
    expect(outcomeOf(await app.executor.execute(aCall(), requestIn("c", { answerWithinMs: 0 })))).toBe("PENDING");
    const leave = new AbortController();
    const request = requestIn("c", { cancellation: cancellationFromSignal(leave.signal) });
    const second = app.executor.execute(aCall(), request);
    leave.abort();
    await expect(second).rejects.toThrow("gone away");
    expect(signal?.aborted).toBe(false);
    go.open();
    const wait = app.executor.wait("call-1", contextOf("c"), caller, AbortSignal.timeout(5000));
    expect(await wait).toMatchObject({ state: CallState.DONE, result: { output: "done" } });
  });

  test("is not cancelled with its caller if it has an effect", async () => {
    const go = gate();
    await using app = await startExecutor([
      aTool({ effect: "idempotent", execute: async () => (await go.opened, "done") }),
    ]);
    const leave = new AbortController();
    const request = requestIn("c", { cancellation: cancellationFromSignal(leave.signal) });
    const first = app.executor.execute(aCall(), request);
    leave.abort();
    await expect(first).rejects.toThrow("gone away");
    go.open();
    const wait = app.executor.wait("call-1", contextOf("c"), caller, AbortSignal.timeout(5000));
    expect(await wait).toMatchObject({ result: { output: "done" } });
  });
});

describe("a call that is looked up by its id", () => {
  test("from another process is RUNNING until it ends", async () => {
    const go = gate();
    await using app = await startExecutor([aTool({ effect: "write", execute: async () => (await go.opened, "done") })]);
    await using other = await startExecutor([], { ledger: app.ledger });
    const answer = app.executor.execute(aCall(), requestIn("c"));
    const where = ["call-1", contextOf("c"), caller] as const;
    await vi.waitFor(async () =>
      expect(await other.executor.find(...where)).toEqual({ state: CallState.RUNNING, result: undefined }),
    );
    const waiting = other.executor.wait(...where, AbortSignal.timeout(5000));
    go.open();
    expect(await waiting).toMatchObject({ state: CallState.DONE, result: { callId: "call-1", output: "done" } });
    await answer;
  });

  test("is not waited for if it is unknown or has ended", async () => {
    await using app = await startExecutor([aTool({ execute: () => "done" })]);
    const { signal } = new AbortController();
    expect(await app.executor.wait("nope", contextOf("c"), caller, signal)).toBeUndefined();
    await app.executor.execute(aCall(), requestIn("c"));
    expect(await app.executor.wait("call-1", contextOf("c"), caller, signal)).toMatchObject({
      state: CallState.DONE,
      result: { output: "done" },
    });
  });

  test("has the id by which it was looked up", async () => {
    const result = errorResult({ call: { id: "stored", name: "work" } }, Outcome.FAILED, "no");
    const find = async () => ({ state: "done", result }) as LedgerEntry;
    await using app = await startExecutor([], { ledger: { ...createMemoryLedger(), find } });
    expect(await app.executor.find("asked", contextOf("c"), caller)).toEqual({
      state: CallState.DONE,
      result: { ...result, callId: "asked" },
    });
  });

  test("is unknown if it had no id of its own and was answered in time", async () => {
    await using app = await startExecutor([aTool({ execute: (_args, { callId }) => callId })]);
    const { output } = await app.executor.execute(aCall({}, { id: "" }), requestIn("c"));
    expect(output).not.toBe("");
    expect(await app.executor.find(output, contextOf("c"), caller)).toBeUndefined();
    await app.executor.execute(aCall({}, { id: "own" }), requestIn("c"));
    expect(await app.executor.find("own", contextOf("c"), caller)).toMatchObject({ state: CallState.DONE });
  });

  test("is UNCERTAIN if its outcome is unknown, with and without a key", async () => {
    const tool = aTool({ effect: "write", timeoutMs: 5, execute: never });
    await using app = await startExecutor([tool]);
    for (const conversation of ["c", ""]) {
      await app.executor.execute(aCall(), requestIn(conversation));
      expect(await app.executor.find("call-1", contextOf(conversation), caller)).toMatchObject({
        state: CallState.UNCERTAIN,
        result: { callId: "call-1", output: uncertain },
      });
    }
  });

  test("fails with different errors for an unreachable store and for an internal fault", async () => {
    for (const [cause, message] of [
      [new LedgerUnavailableError("away"), "the store cannot be reached; nothing has been executed"],
      [new RangeError("a fault of ours"), "internal error"],
    ] as const) {
      const find = async (): Promise<never> => {
        throw cause;
      };
      await using app = await startExecutor([], { ledger: { ...createMemoryLedger(), find } });
      const where = ["call-1", contextOf("c"), caller] as const;
      const error = expect.objectContaining({ rawMessage: message, cause }) as object;
      await expect(app.executor.find(...where)).rejects.toEqual(error);
      await expect(app.executor.wait(...where, new AbortController().signal)).rejects.toEqual(error);
    }
  });
});

describe("erase", () => {
  test("counts what it deletes in memory and in the ledger, and keeps running calls", async () => {
    const go = gate();
    const look = aTool({
      name: "look",
      execute: async ({ wait }: { wait?: boolean }) => (wait && (await go.opened), 1),
    });
    const put = aTool({ name: "put", effect: "write", execute: () => 2 });
    await using app = await startExecutor([look, put]);
    for (const [name, id] of [
      ["look", "1"],
      ["look", "2"],
      ["put", "3"],
    ] as const) {
      await app.executor.execute(aCall({}, { name, id }), requestIn("c"));
    }
    await app.executor.execute(aCall({}, { name: "look", id: "1" }), requestIn("d"));
    const running = app.executor.execute(aCall({ wait: true }, { name: "look", id: "4" }), requestIn("c"));
    expect(app.executor.running).toBe(1);
    expect(await app.executor.erase({ tenant: "default", conversationId: "c" })).toBe(3);
    expect(await app.executor.find("1", contextOf("c"), caller)).toBeUndefined();
    expect(await app.executor.find("1", contextOf("d"), caller)).toBeDefined();
    expect(await app.executor.find("4", contextOf("c"), caller)).toMatchObject({ state: CallState.RUNNING });
    go.open();
    expect((await running).output).toBe("1");
  });
});

test("a call of a synchronous tool is answered synchronously", async () => {
  await using app = await startExecutor([aTool({ execute: () => "done" })]);
  expect(app.executor.execute(aCall(), requestIn())).toMatchObject({ output: "done" });
  expect(app.executor.execute(aCall(), requestIn())).toMatchObject({ output: "done", replayed: true });
  expect(app.executor.execute(aCall({}, { name: "nope" }), requestIn())).toMatchObject({
    output: "Unknown tool: nope",
  });
});

test("an error result has every field", async () => {
  await using app = await startExecutor([]);
  expect(await app.executor.execute(aCall({}, { name: "nope" }), requestIn())).toEqual({
    $typeName: "jackfield.v1.ToolResult",
    callId: "call-1",
    name: "nope",
    outcome: Outcome.UNKNOWN_TOOL,
    output: "Unknown tool: nope",
    value: undefined,
    error: { $typeName: "jackfield.v1.ToolError", message: "Unknown tool: nope", violations: [] },
    truncated: false,
    replayed: false,
    attempts: 0,
    duration: undefined,
  });
});
