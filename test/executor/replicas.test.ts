import { describe, expect, test, vi } from "vitest";
import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import {
  createMemoryLedger,
  createMemoryLedgerServer,
  type MemoryLedgerServer,
} from "../../src/ledger/drivers/memory.ts";
import type { Reconciled, ToolDefinition } from "../../src/plugin/tool.ts";
import { ToolError } from "../../src/plugin/tool-error.ts";
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

const never = (): Promise<never> => new Promise(() => {});
const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";
const notReady = "The tool work cannot work at present.";
const where = ["call-1", contextOf("c"), caller] as const;

/** A store on which `abandon` makes all replicas seem dead, an hour after their calls started. */
function startServer(): MemoryLedgerServer & { abandon(): void } {
  let offsetMs = 0;
  const server = createMemoryLedgerServer(() => Date.now() + offsetMs);
  return {
    ...server,
    abandon() {
      offsetMs += 3_600_000;
      server.owners.clear();
    },
  };
}

/** A replica on the store. */
function replica(
  server: MemoryLedgerServer,
  definition: Partial<ToolDefinition> & Pick<ToolDefinition, "execute">,
  options: ExecutorOptions = {},
) {
  return startExecutor([aTool(definition)], { ledger: createMemoryLedger({ server }), ...options });
}

type Request = readonly [ReturnType<typeof aCall>, ReturnType<typeof requestIn>];

/** Starts calls that never end in a replica that then dies. */
async function abandonCalls(
  server: ReturnType<typeof startServer>,
  effect: "read" | "idempotent" | "write",
  requests: readonly Request[] = [[aCall({ a: 1 }), requestIn("c")]],
) {
  const execute = vi.fn(never);
  const dead = await replica(server, { effect, timeoutMs: 60_000, execute });
  for (const [call, request] of requests) void Promise.try(() => dead.executor.execute(call, request)).catch(() => {});
  await vi.waitFor(() => {
    expect(execute).toHaveBeenCalledTimes(requests.length);
    expect(server.entries.size).toBe(requests.length);
  });
  server.abandon();
  return dead;
}

describe("a call of a dead process", () => {
  test("runs again with the same source, tenant and arguments digest in its audit line", async () => {
    const server = startServer();
    const request = requestIn("c", { caller: { ...caller, name: "shop", tenant: "north" } });
    const dead = await abandonCalls(server, "idempotent", [[aCall({ a: 1 }), request]]);
    const other = await replica(server, { effect: "idempotent", execute: () => "done" });
    await other.executor.execute(aCall({ a: 1 }, { id: "other" }), requestIn("c"));
    expect(await other.executor.recover()).toBe(1);
    const argumentsDigest = other.audit[0]!.argumentsDigest;
    expect(other.audit[1]).toMatchObject({
      caller: "shop",
      source: "shop",
      tenant: "north",
      toolCallId: "call-1",
      conversationId: "c",
      argumentsDigest,
      outcome: "OK",
    });
    await Promise.all([dead, other].map((app) => app[Symbol.asyncDispose]()));
  });

  test("that fails when it runs again is found with its failure", async () => {
    for (const [definition, output] of [
      [{ execute: () => Promise.reject(new ToolError("no luck")) }, "no luck"],
      [
        {
          open: () => {
            throw new Error("no database");
          },
          execute: never,
        },
        notReady,
      ],
    ] as const) {
      const server = startServer();
      const dead = await abandonCalls(server, "idempotent");
      const next = await replica(server, { effect: "idempotent", ...definition });
      expect(await next.executor.recover()).toBe(1);
      expect(await next.executor.find(...where)).toMatchObject({ state: CallState.DONE, result: { output } });
      await Promise.all([dead, next].map((app) => app[Symbol.asyncDispose]()));
    }
  });

  test("without a key is uncertain, because its downstream could not recognise the repeat", async () => {
    const server = startServer();
    const dead = await abandonCalls(server, "idempotent", [[aCall(), requestIn("", { answerWithinMs: 0 })]]);
    const execute = vi.fn(() => "ran again");
    const next = await replica(server, { effect: "idempotent", execute });
    expect(await next.executor.recover()).toBe(1);
    expect((await next.executor.find("call-1", contextOf(""), caller))?.result?.output).toBe(uncertain);
    expect(execute).not.toHaveBeenCalled();
    await Promise.all([dead, next].map((app) => app[Symbol.asyncDispose]()));
  });

  test("that is still queued when this process drains is left to the next one", async () => {
    const server = startServer();
    const requests = ["1", "2"].map((id) => [aCall({}, { id }), requestIn("c")] as const);
    const dead = await abandonCalls(server, "idempotent", requests);
    const execute = vi.fn(never);
    const next = await replica(
      server,
      { effect: "idempotent", timeoutMs: 60_000, execute },
      { settings: { limits: { concurrency: 1, queue: 1 } } },
    );
    const recovered = next.executor.recover();
    await vi.waitFor(() => expect(execute).toHaveBeenCalledOnce());
    await next.executor.drain(AbortSignal.abort());
    expect(await recovered).toBe(2);
    server.abandon();
    const last = await replica(server, { effect: "idempotent", execute: () => "done" });
    expect(await last.executor.recover()).toBe(2);
    for (const id of ["1", "2"]) {
      expect((await last.executor.find(id, contextOf("c"), caller))?.result?.output).toBe("done");
    }
    await Promise.all([dead, next, last].map((app) => app[Symbol.asyncDispose]()));
  });

  test("that cannot be recovered is logged, and the others are recovered", async () => {
    const server = startServer();
    const requests = ["1", "2"].map((id) => [aCall({}, { id }), requestIn("c")] as const);
    const dead = await abandonCalls(server, "write", requests);
    const ledger = createMemoryLedger({ server });
    const finish = vi.fn(ledger.finish).mockRejectedValueOnce(new RangeError("ours"));
    await using next = await startExecutor([], { ledger: { ...ledger, finish } });
    expect(await next.executor.recover()).toBe(2);
    const lines = next.log.map((line) => JSON.parse(line) as { level: number; msg: string });
    expect(lines.filter(({ level }) => level === 50)).toMatchObject([
      { msg: "a call could not be recovered; it will be tried again", call: "1", err: { message: "ours" } },
    ]);
    expect((await next.executor.find("2", contextOf("c"), caller))?.result?.output).toBe(uncertain);
    await dead[Symbol.asyncDispose]();
  });

  test("gets the answer of a third process that settled it during reconcile", async () => {
    const server = startServer();
    const dead = await abandonCalls(server, "write");
    const third = await replica(server, { effect: "write", execute: never, reconcile: () => ({ result: "theirs" }) });
    const execute = vi.fn(() => "ran");
    const reconcile = async (): Promise<Reconciled> => {
      server.abandon();
      await third.executor.recover();
      return "not-done";
    };
    const next = await replica(server, { effect: "write", execute, reconcile });
    expect(await next.executor.execute(aCall({ a: 1 }), requestIn("c"))).toMatchObject({
      output: "theirs",
      replayed: true,
    });
    expect(execute).not.toHaveBeenCalled();
    await Promise.all([dead, next, third].map((app) => app[Symbol.asyncDispose]()));
  });

  test("gets the answer of a third process that has begun it again during reconcile", async () => {
    const server = startServer();
    const dead = await abandonCalls(server, "write");
    const [started, ended] = [gate(), gate()];
    const third = await replica(server, {
      effect: "write",
      timeoutMs: 60_000,
      execute: async () => (started.open(), await ended.opened, "theirs"),
      reconcile: () => "not-done",
    });
    const reconcile = async (): Promise<Reconciled> => {
      server.abandon();
      void third.executor.recover();
      await started.opened;
      return "not-done";
    };
    const execute = vi.fn(() => "ran");
    const next = await replica(server, { effect: "write", execute, reconcile });
    const answer = next.executor.execute(aCall({ a: 1 }), requestIn("c"));
    await started.opened;
    const late = await next.executor.execute(aCall({ a: 1 }), requestIn("c", { answerWithinMs: 5 }));
    expect(outcomeOf(late)).toBe("PENDING");
    ended.open();
    expect(await answer).toMatchObject({ output: "theirs", replayed: true });
    expect(execute).not.toHaveBeenCalled();
    await Promise.all([dead, next, third].map((app) => app[Symbol.asyncDispose]()));
  });

  test("that the store loses during reconcile begins again", async () => {
    const server = startServer();
    const dead = await abandonCalls(server, "write");
    const reconcile = (): Reconciled => (server.entries.clear(), "not-done");
    const next = await replica(server, { effect: "write", execute: () => "ran", reconcile });
    expect(await next.executor.execute(aCall({ a: 1 }), requestIn("c"))).toMatchObject({
      output: "ran",
      replayed: false,
    });
    expect((await next.executor.find(...where))?.result?.output).toBe("ran");
    await Promise.all([dead, next].map((app) => app[Symbol.asyncDispose]()));
  });
});

describe("a long read of a process that was taken for dead", () => {
  test("is recorded by the process that repeats it; callers of the first process get that answer", async () => {
    const server = startServer();
    const [first, second] = [gate(), gate()];
    const before = await replica(server, { execute: async () => (await first.opened, "mine") });
    const request = requestIn("c", { answerWithinMs: 0 });
    await before.executor.execute(aCall(), request);
    const waiting = before.executor.execute(aCall(), requestIn("c"));
    await vi.waitFor(() => expect(server.entries.size).toBe(1));
    server.abandon();
    const next = await replica(server, { execute: async () => (await second.opened, "theirs") });
    expect(outcomeOf(await next.executor.execute(aCall(), request))).toBe("PENDING");
    await vi.waitFor(() => expect(server.owners.has([...server.entries.values()][0]?.owner ?? "")).toBe(true));
    first.open();
    second.open();
    expect(await waiting).toMatchObject({ output: "theirs", replayed: true });
    await using third = await startExecutor([], { ledger: createMemoryLedger({ server }) });
    expect(await third.executor.wait(...where, AbortSignal.timeout(5000))).toMatchObject({
      state: CallState.DONE,
      result: { output: "theirs" },
    });
    await Promise.all([before, next].map((app) => app[Symbol.asyncDispose]()));
  });
});
