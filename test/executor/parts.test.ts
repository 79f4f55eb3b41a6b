import { getEventListeners } from "node:events";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { callKey, createCallMemory, lookupOf, lookupsOf } from "../../src/executor/stages/deduplicate.ts";
import { cancellationFromSignal } from "../../src/executor/cancellation.ts";
import { callScopeFrom, Execution } from "../../src/executor/execution.ts";
import { settledOrAborted } from "../../src/executor/find-call.ts";
import { valueFromJson } from "../../src/executor/json-value.ts";
import { createSlots } from "../../src/executor/stages/acquire-slot.ts";
import { errorResult } from "../../src/executor/tool-result.ts";
import { Outcome, type Progress } from "../../gen/jackfield/v1/tool_pb.ts";
import type { CallScope } from "../../src/ledger/ledger.ts";
import { parseJson } from "../../src/json/exact-number.ts";
import type { CompiledTool } from "../../src/registry/registry.ts";
import { aCall, caller, contextOf, requestIn } from "../support/executor.ts";

const scope: CallScope = { tenant: "t", source: "s", conversationId: "c", sessionId: "e", runId: "r" };

describe("the key of a call", () => {
  test("belongs to the run, else to the conversation, else to the session", () => {
    const places = [
      scope,
      { ...scope, runId: "" },
      { ...scope, runId: "", conversationId: "" },
      { ...scope, runId: "", conversationId: "", sessionId: "" },
    ];
    expect(places.map((place) => callKey(place, "1"))).toEqual([
      '["t","s","r","r","1"]',
      '["t","s","c","c","1"]',
      '["t","s","s","e","1"]',
      undefined,
    ]);
    expect(callKey({ ...places[3]!, uniqueCallIds: true }, "1")).toBe('["t","s","-","","1"]');
    expect(callKey(scope, "")).toBeUndefined();
  });

  test("finds the call; without a key, the id alone does, for callers that do not know either", () => {
    const nowhere = { ...scope, runId: "", conversationId: "", sessionId: "" };
    expect(lookupOf(scope, "1")).toBe(callKey(scope, "1"));
    expect(lookupOf(nowhere, "1")).toBe('["t","s","*","","1"]');
    expect(lookupsOf(scope, "1")).toEqual([callKey(scope, "1")]);
    expect(lookupsOf(nowhere, "1")).toEqual(['["t","s","*","","1"]', '["t","s","-","","1"]']);
    expect(lookupsOf(nowhere, "")).toEqual(['["t","s","*","",""]']);
  });

  test("contains the source that the context names, else the caller's name", () => {
    expect(callScopeFrom(undefined, caller)).toEqual({
      tenant: "default",
      source: "test",
      conversationId: "",
      sessionId: "",
      runId: "",
    });
    const context = { ...contextOf("c"), source: "genesys", sessionId: "s", runId: "r" };
    expect(callScopeFrom(context, { ...caller, uniqueCallIds: true })).toEqual({
      tenant: "default",
      source: "genesys",
      conversationId: "c",
      sessionId: "s",
      runId: "r",
      uniqueCallIds: true,
    });
  });
});

describe("the memory of calls", () => {
  function execution(lookup: string): Execution {
    const made = new Execution(aCall(), requestIn(), scope);
    made.lookup = lookup;
    return made;
  }
  const answer = (toolName: string) => ({
    toolName,
    digest: "d",
    result: errorResult({ call: { id: "1", name: toolName } }, Outcome.OK, ""),
    replay: true,
    scope,
  });

  test("is idle when the last call has ended, including replaced ones", async () => {
    const memory = createCallMemory(10);
    await memory.idle();
    const [first, second] = [execution("a"), execution("a")];
    memory.start(first);
    expect([memory.count, [...memory.all()]]).toEqual([1, [first]]);
    memory.start(second);
    expect([memory.count, [...memory.all()], memory.running("a")]).toEqual([2, [second, first], second]);
    let idle = 0;
    const waits = [memory.idle(), memory.idle()].map((wait) => wait.then(() => (idle += 1)));
    memory.end(first, undefined);
    await Promise.resolve();
    expect([memory.count, memory.running("a"), idle]).toEqual([1, second, 0]);
    memory.end(second, undefined);
    await Promise.all(waits);
    expect([memory.count, memory.running("a"), idle]).toEqual([0, undefined, 2]);
    memory.start(execution("b"));
    let again = false;
    void memory.idle().then(() => (again = true));
    await new Promise(setImmediate);
    expect(again).toBe(false);
  });

  test("keeps running calls when one that never ran ends", () => {
    const memory = createCallMemory(10);
    const running = execution("a");
    memory.start(running);
    memory.end(execution("a"), answer("x"));
    expect([memory.running("a"), memory.recent("a")?.toolName]).toEqual([running, "x"]);
  });

  test("holds between half of its answers and all of them, the latest first", () => {
    const memory = createCallMemory(4);
    for (const name of ["a", "b", "c", "d", "e"]) memory.end(execution(name), answer(name));
    expect(["a", "b", "c", "d", "e"].map((name) => memory.recent(name)?.toolName)).toEqual([
      undefined,
      undefined,
      "c",
      "d",
      "e",
    ]);
    memory.end(execution("c"), undefined);
    memory.end(execution("e"), undefined);
    expect(["c", "d", "e"].map((name) => memory.recent(name)?.toolName)).toEqual([undefined, "d", undefined]);
    const none = createCallMemory(0);
    none.end(execution("a"), answer("a"));
    expect(none.recent("a")).toBeUndefined();
  });

  test("settles only a cached answer, and returns the number of deleted ones", () => {
    const memory = createCallMemory(2);
    const settled = errorResult({ call: { id: "1", name: "x" } }, Outcome.FAILED, "late");
    memory.settle("a", settled);
    expect(memory.recent("a")).toBeUndefined();
    for (const name of ["a", "b"]) memory.end(execution(name), answer(name));
    memory.settle("a", settled);
    expect(memory.recent("a")).toEqual({ ...answer("a"), result: settled });
    expect(memory.forget({ tenant: "t", conversationId: "other" })).toBe(0);
    expect(memory.forget({ tenant: "t", conversationId: "c" })).toBe(2);
    expect(memory.recent("a")).toBeUndefined();
  });
});

describe("a signal as a cancellation token", () => {
  test("calls its listeners once, immediately if it has fired, and removed ones never", () => {
    const controller = new AbortController();
    const token = cancellationFromSignal(controller.signal);
    const told: [string, Code][] = [];
    const listen = (name: string) => token.subscribe(({ code }) => told.push([name, code]));
    listen("a");
    listen("b")();
    expect([token.cancelled, told]).toEqual([undefined, []]);
    controller.abort(new Error("gone"));
    listen("c");
    expect(told).toEqual([
      ["a", Code.Canceled],
      ["c", Code.Canceled],
    ]);
    expect(token.cancelled).toMatchObject({ code: Code.Canceled, cause: controller.signal.reason as Error });
    expect(getEventListeners(controller.signal, "abort")).toEqual([]);
  });

  test("has the reason of the signal if the caller may read it", () => {
    const reason = new ConnectError("late", Code.DeadlineExceeded);
    expect(cancellationFromSignal(AbortSignal.abort(reason)).cancelled).toBe(reason);
  });
});

describe("a wait for a promise", () => {
  test.each([
    ["resolves", () => Promise.resolve(1)],
    ["rejects", () => Promise.reject(new Error("odd"))],
  ])("ends when it %s, and leaves no listener on the signal", async (_how, promise) => {
    const { signal } = new AbortController();
    await settledOrAborted(promise(), signal);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("ends with the signal, even if that has fired before", async () => {
    const controller = new AbortController();
    const never = new Promise(() => {});
    const waiting = settledOrAborted(never, controller.signal);
    controller.abort();
    await waiting;
    await settledOrAborted(never, controller.signal);
  });
});

describe("an execution", () => {
  test("is cancelled once, and notifies all listeners", () => {
    const execution = new Execution(aCall(), requestIn(), scope);
    const told: string[] = [];
    for (const name of ["a", "b"]) execution.onCancel(() => told.push(name));
    expect(execution.cancelled).toBe(false);
    execution.cancel();
    execution.cancel();
    expect([execution.cancelled, told]).toEqual([true, ["a", "b"]]);
    new Execution(aCall(), requestIn(), scope).cancel();
  });

  test("reports progress to all listeners, with its call", () => {
    const told: Progress[] = [];
    const onProgress = (progress: Progress) => told.push(progress);
    const execution = new Execution(aCall(), requestIn("c", { onProgress }), scope);
    execution.listen(onProgress);
    execution.report("half", 0.5);
    expect(told).toEqual(
      [0, 1].map(() => ({ $typeName: "jackfield.v1.Progress", callId: "call-1", message: "half", fraction: 0.5 })),
    );
    new Execution(aCall(), requestIn(), scope).report("nobody", 1);
  });

  test("has one idempotency key for each call: from its key, from its own id, or random", () => {
    const keyed = (key: string | undefined, id: string, lookup: string): string => {
      const execution = new Execution(aCall({}, { id }), requestIn(), scope);
      Object.assign(execution, { key, lookup });
      expect(execution.idempotencyKey).toBe(execution.idempotencyKey);
      return execution.idempotencyKey;
    };
    expect(keyed("k", "1", "k")).toBe(keyed("k", "1", "k"));
    expect(keyed("k", "1", "k")).not.toBe(keyed("l", "1", "l"));
    expect(keyed(undefined, "", "own")).toBe(keyed(undefined, "", "own"));
    expect(keyed(undefined, "1", "*")).not.toBe(keyed(undefined, "1", "*"));
  });
});

test("a value has the kind of its JSON, whatever its members are called", () => {
  const json = parseJson('{"a":[1,true,null,"x"],"__proto__":{"b":false},"big":123456789012345678901}');
  const kind = valueFromJson(json).kind;
  expect(kind.case).toBe("structValue");
  const { fields } = kind.value as unknown as { fields: Record<string, { kind: { case: string; value: never } }> };
  expect(Object.keys(fields)).toEqual(["a", "__proto__", "big"]);
  const { values } = fields["a"]!.kind.value as { values: { kind: unknown }[] };
  expect(values.map((value) => value.kind)).toEqual([
    { case: "numberValue", value: 1 },
    { case: "boolValue", value: true },
    { case: "nullValue", value: 0 },
    { case: "stringValue", value: "x" },
  ]);
  expect(Object.getOwnPropertyDescriptor(fields, "__proto__")).toMatchObject({
    enumerable: true,
    configurable: true,
    writable: true,
  });
  expect(fields["big"]!.kind).toEqual({ case: "stringValue", value: "123456789012345678901" });
  expect(Object.getPrototypeOf(fields)).toBe(Object.prototype);
});

describe("the slots of a tool", () => {
  const atOnce = (work: () => void): void => work();
  const tool = (concurrency: number, queue: number) =>
    ({ name: "work", tenant: undefined, concurrency, queue, timeoutMs: 60_000 }) as unknown as CompiledTool;

  test("suggest a retry when a slot is expected to be free, after 1 s to 60 s", () => {
    const refusalAfter = (concurrency: number, ...took: number[]) => {
      const one = tool(concurrency, 0);
      const slots = createSlots(atOnce, atOnce)(one);
      const execution = new Execution(aCall(), requestIn(), scope);
      for (let n = 0; n < concurrency; n += 1) expect(slots.acquire(one, execution)).toBeUndefined();
      for (const ms of took) {
        slots.release(ms);
        expect(slots.acquire(one, execution)).toBeUndefined();
      }
      return slots.acquire(one, execution);
    };
    expect(refusalAfter(1)).toEqual({ retryAfterSeconds: 1 });
    expect(refusalAfter(1, 80_000)).toEqual({ retryAfterSeconds: 10 });
    expect(refusalAfter(4, 80_000)).toEqual({ retryAfterSeconds: 3 });
    expect(refusalAfter(1, 80_000, 10_000)).toEqual({ retryAfterSeconds: 10 });
    expect(refusalAfter(1, 80_000, 0)).toEqual({ retryAfterSeconds: 9 });
    expect(refusalAfter(1, 800_000)).toEqual({ retryAfterSeconds: 60 });
  });

  test("are given to waiting calls in their order, and not to those that have left", async () => {
    const one = tool(1, 2);
    const slots = createSlots(atOnce, atOnce)(one);
    const executions = [0, 1, 2, 3].map(() => new Execution(aCall(), requestIn(), scope));
    const [first, second, third, fourth] = executions.map((execution) => slots.acquire(one, execution));
    expect(first).toBeUndefined();
    expect(fourth).toEqual({ retryAfterSeconds: 1 });
    executions[1]!.cancel();
    expect(await second).toEqual({ retryAfterSeconds: 1 });
    slots.release(undefined);
    expect(await third).toBeUndefined();
    // Too late to leave the queue: it has its slot.
    executions[2]!.cancel();
    slots.release(5);
    expect(slots.acquire(one, executions[0]!)).toBeUndefined();
    expect(slots.acquire(one, executions[3]!)).toBeInstanceOf(Promise);
    executions[3]!.cancel();
  });
});
