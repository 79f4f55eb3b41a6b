import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, expect, test, vi } from "vitest";
import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { ToolError } from "../../src/plugin/tool-error.ts";
import type { ExecutionContext, Reconciled, ToolDefinition, UnknownCall } from "../../src/plugin/tool.ts";
import { IsolateCrashError } from "../../src/registry/isolate-crash-error.ts";
import { deadPort, startDownstream } from "../outbound/downstream.ts";
import { aCall, aTool, caller, contextOf, gate, outcomeOf, startExecutor, requestIn } from "../support/executor.ts";

const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";
const failed = "Tool execution failed or timed out.";
const never = (): Promise<never> => new Promise(() => {});

type Respond = (response: ServerResponse, request: IncomingMessage) => void;
type Act = (context: ExecutionContext, url: string) => unknown;

/** Calls a `write` that acts on a real downstream, twice with the same call. */
async function calledTwice(respond: Respond, act: Act, change: Partial<ToolDefinition> = {}, url?: string) {
  await using api = await startDownstream(respond);
  const target = url ?? api.origin;
  const execute = vi.fn((_args: unknown, context: ExecutionContext) => act(context, target));
  const tool = aTool({ effect: "write", timeoutMs: 2000, execute, ...change });
  await using app = await startExecutor([tool], { settings: { config: { url: target } } });
  const first = await app.executor.execute(aCall(), requestIn());
  const second = await app.executor.execute(aCall(), requestIn());
  return {
    outcome: outcomeOf(first),
    output: first.output,
    attempts: first.attempts,
    again: outcomeOf(second),
    replayed: second.replayed,
    runs: execute.mock.calls.length,
    requests: api.requests.map(({ method }) => method),
  };
}

const answer =
  (status: number): Respond =>
  (response) =>
    response.writeHead(status).end("{}");
const hangUp: Respond = (response) => response.destroy();
const silence: Respond = () => {};
const post: Act = ({ http }, url) => http(url, { method: "POST", json: {} });
const throwBug = (): never => {
  throw new TypeError("no field ref");
};

describe("a write that may have taken effect is uncertain, and does not run again", () => {
  test.each<[string, Respond, Act, number]>([
    ["its downstream answers 5xx", answer(500), post, 2000],
    ["its downstream answers with a redirect", answer(302), post, 2000],
    ["the connection is lost after the request was sent", hangUp, post, 2000],
    [
      "the answer cannot be read",
      (response) => response.end("no JSON"),
      async (context, url) => {
        const { json } = await context.http(url, { method: "POST", json: {} });
        return json();
      },
      2000,
    ],
    ["its deadline passes after the request was sent", silence, post, 200],
    [
      "its function fails after a request was answered",
      answer(200),
      async (context, url) => {
        await post(context, url);
        throwBug();
      },
      2000,
    ],
    [
      "it fails in a GET after a request that changes something",
      (response, { method }) => {
        if (method === "POST") response.end("{}");
        else response.destroy();
      },
      async (context, url) => {
        await post(context, url);
        return context.http(url);
      },
      2000,
    ],
    ["its function fails without ever using http", silence, throwBug, 2000],
    [
      "its thread ends after a GET",
      answer(200),
      async ({ http }, url) => {
        await http(url);
        throw new IsolateCrashError("ended");
      },
      2000,
    ],
    ["its deadline passes during a GET: its function can still act", silence, ({ http }, url) => http(url), 100],
    ["its deadline passes without http", silence, never, 20],
  ])("if %s", async (_what, respond, act, timeoutMs) => {
    const seen = await calledTwice(respond, act, { timeoutMs, retry: { retries: 0 } });
    expect(seen).toMatchObject({ outcome: "UNCERTAIN", output: uncertain, attempts: 1 });
    expect(seen).toMatchObject({ again: "UNCERTAIN", replayed: true, runs: 1 });
  });
});

describe("a write that cannot have taken effect has failed", () => {
  const get: Act = ({ http }, url) => http(url);
  test.each<[string, Respond, Act, string]>([
    ["its downstream refuses it with 4xx", answer(409), post, "External API returned 409: {}"],
    [
      "its author says so",
      answer(500),
      async (context, url) => {
        await Promise.resolve(post(context, url)).catch(() => {});
        throw new ToolError("The ticket system is closed.");
      },
      "The ticket system is closed.",
    ],
    ["a GET got no answer", hangUp, get, "External API could not be reached."],
    ["a GET was answered with 5xx", answer(503), get, "External API returned 503: {}"],
    [
      "its function fails after a GET",
      answer(200),
      async (context, url) => {
        await get(context, url);
        throwBug();
      },
      failed,
    ],
    [
      "its function fails after a refused request",
      answer(404),
      async ({ http }, url) => {
        await http(url, { method: "DELETE", throwOnError: false });
        throwBug();
      },
      failed,
    ],
    [
      "its request was refused here",
      answer(200),
      ({ http }) => http("http://10.0.0.1/", { method: "POST" }),
      "The host 10.0.0.1 leads to a private address and is not reached. JACKFIELD_PRIVATE_ADDRESSES can allow it.",
    ],
  ])("if %s; the answer is stored", async (_what, respond, act, output) => {
    const seen = await calledTwice(respond, act, { retry: { retries: 0 } });
    expect(seen).toMatchObject({ outcome: "FAILED", output, again: "FAILED", replayed: true, runs: 1 });
  });

  test("if nothing listens", async () => {
    const url = `http://127.0.0.1:${await deadPort()}`;
    const seen = await calledTwice(silence, post, { retry: { retries: 0 } }, url);
    expect(seen).toMatchObject({ outcome: "FAILED", output: "External API could not be reached.", replayed: true });
  });
});

describe("reconcile of a write whose end is unknown", () => {
  const reconciled = (found: Reconciled) => vi.fn((_call: UnknownCall) => found);

  test("is called, and determines its end", async () => {
    const reconcile = reconciled({ result: { done: true } });
    const before = Date.now();
    const seen = await calledTwice(hangUp, post, { reconcile, retry: { retries: 0 } });
    expect(seen).toMatchObject({ outcome: "OK", output: '{"done":true}', attempts: 1, again: "OK", replayed: true });
    expect(reconcile).toHaveBeenCalledOnce();
    const [{ args, callId, idempotencyKey, startedAt }] = reconcile.mock.calls[0] as [UnknownCall];
    expect({ args, callId }).toEqual({ args: {}, callId: "call-1" });
    expect(idempotencyKey).toMatch(/^[\w-]{43}$/);
    expect(startedAt.getTime()).toBeGreaterThanOrEqual(before - 1);
    expect(startedAt.getTime()).toBeLessThanOrEqual(Date.now());
  });

  test.each<[string, Respond, number, string]>([
    ["a deadline", silence, 150, "TIMED_OUT"],
    ["a lost connection", hangUp, 2000, "FAILED"],
    ["a 5xx", answer(500), 2000, "FAILED"],
  ])(
    "may return after %s that it did not take effect: then the same call runs again",
    async (_what, respond, timeoutMs, outcome) => {
      const seen = await calledTwice(respond, post, { timeoutMs, reconcile: () => "not-done", retry: { retries: 0 } });
      expect(seen).toMatchObject({ outcome, again: outcome, replayed: false, runs: 2 });
    },
  );

  test.each<[string, Respond, number]>([
    ["a deadline", silence, 150],
    ["a lost connection", hangUp, 300],
  ])(
    "is called again after %s, because a downstream may still do what it has read",
    async (_what, respond, timeoutMs) => {
      const answers: Reconciled[] = ["not-done", { result: { done: true } }];
      const reconcile = vi.fn(() => answers.shift() ?? "unknown");
      const seen = await calledTwice(respond, post, { timeoutMs, reconcile, retry: { retries: 0 } });
      expect(seen).toMatchObject({ outcome: "OK", output: '{"done":true}', replayed: true, runs: 1 });
    },
  );

  test("is called once if the downstream has answered", async () => {
    const reconcile = vi.fn((): Reconciled => "not-done");
    const seen = await calledTwice(answer(500), post, { reconcile, retry: { retries: 0 } });
    expect(seen).toMatchObject({ outcome: "FAILED", runs: 2 });
    expect(reconcile).toHaveBeenCalledTimes(2);
  });

  test.each<[string, ToolDefinition["reconcile"]]>([
    ["does not know", () => "unknown"],
    ["throws", throwBug],
    ["answers with nothing", () => undefined as never],
    ["never answers", never],
  ])("leaves it uncertain if it %s", async (_what, reconcile) => {
    const seen = await calledTwice(hangUp, post, { timeoutMs: 200, reconcile: reconcile!, retry: { retries: 0 } });
    expect(seen).toMatchObject({ outcome: "UNCERTAIN", output: uncertain, replayed: true, runs: 1 });
  });

  test("is called once if only its own requests got no answer", async () => {
    const reconcile = vi.fn(async (_call: UnknownCall, context: ExecutionContext): Promise<Reconciled> => {
      await Promise.resolve(context.http((context.config as { url: string }).url, { method: "PUT" })).catch(() => {});
      return "not-done";
    });
    const respond: Respond = (response, { method }) =>
      method === "PUT" ? response.destroy() : response.writeHead(500).end();
    const seen = await calledTwice(respond, post, { reconcile, retry: { retries: 0 } });
    expect(seen).toMatchObject({ outcome: "FAILED", requests: ["POST", "PUT", "POST", "PUT"] });
    expect(reconcile).toHaveBeenCalledTimes(2);
  });

  test("is not called if the end is known, or for a read", async () => {
    const reconcile = reconciled("unknown");
    await calledTwice(answer(404), post, { reconcile });
    await calledTwice(hangUp, post, { reconcile, effect: "read", retry: { retries: 0 } });
    await calledTwice(answer(500), post, { reconcile, effect: "idempotent" });
    expect(reconcile).not.toHaveBeenCalled();
  });

  test("has HTTP with its own deadline", async () => {
    const reconcile = async (_call: UnknownCall, { http, config }: ExecutionContext): Promise<Reconciled> => ({
      result: (await http((config as { url: string }).url)).json(),
    });
    const respond: Respond = (response, { method }) => {
      if (method === "GET") response.end('{"found":1}');
    };
    const seen = await calledTwice(respond, post, { timeoutMs: 300, reconcile });
    expect(seen).toMatchObject({ outcome: "OK", output: '{"found":1}', requests: ["POST", "GET"] });
  });
});

describe("a function that returns after its end", () => {
  test("settles the entry: repeats get its value", async () => {
    const go = gate();
    const tool = aTool({ effect: "write", timeoutMs: 20, execute: async () => (await go.opened, "it worked") });
    await using app = await startExecutor([tool]);
    const where = ["call-1", contextOf("conversation-1"), caller] as const;
    expect(outcomeOf(await app.executor.execute(aCall(), requestIn()))).toBe("UNCERTAIN");
    expect((await app.executor.find(...where))?.state).toBe(CallState.UNCERTAIN);
    go.open();
    await vi.waitFor(async () => expect((await app.executor.find(...where))?.state).toBe(CallState.DONE));
    expect(await app.executor.execute(aCall(), requestIn())).toMatchObject({ output: "it worked", replayed: true });
  });

  test("settles a call without a key too, for queries by id", async () => {
    const go = gate();
    const tool = aTool({ effect: "write", timeoutMs: 20, execute: async () => (await go.opened, "it worked") });
    await using app = await startExecutor([tool]);
    expect(outcomeOf(await app.executor.execute(aCall(), requestIn("")))).toBe("UNCERTAIN");
    go.open();
    const find = () => app.executor.find("call-1", contextOf(""), caller);
    await vi.waitFor(async () => expect((await find())?.result?.output).toBe("it worked"));
  });

  test("provides the answer if it returns during reconcile", async () => {
    const go = gate();
    const reconcile = async (): Promise<Reconciled> => (go.open(), never());
    const tool = aTool({
      effect: "write",
      timeoutMs: 1000,
      execute: async () => (await go.opened, "it worked"),
      reconcile,
    });
    await using app = await startExecutor([tool]);
    expect(await app.executor.execute(aCall(), requestIn())).toMatchObject({ output: "it worked", attempts: 1 });
  });

  test("settles nothing by a ToolError after its deadline, because its requests were aborted", async () => {
    await using api = await startDownstream(silence);
    const ended = gate();
    const execute = async (_args: unknown, { http }: ExecutionContext) => {
      try {
        await http(api.origin, { method: "POST" });
      } catch {
        ended.open();
        throw new ToolError("The ticket system did not answer.");
      }
    };
    await using app = await startExecutor([aTool({ effect: "write", timeoutMs: 100, execute })], {
      settings: { config: { url: api.origin } },
    });
    expect(outcomeOf(await app.executor.execute(aCall(), requestIn()))).toBe("UNCERTAIN");
    await ended.opened;
    expect(outcomeOf(await app.executor.execute(aCall(), requestIn()))).toBe("UNCERTAIN");
  });
});
