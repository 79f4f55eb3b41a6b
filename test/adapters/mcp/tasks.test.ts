import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { type Job, JobSchema, JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome, ToolResultSchema } from "../../../gen/jackfield/v1/tool_pb.ts";
import { createMcpDoor } from "../../../src/adapters/mcp/door.ts";
import type { Peer } from "../../../src/adapters/mcp/peer.ts";
import { codes, McpError, reserved } from "../../../src/adapters/mcp/protocol.ts";
import { createTasks } from "../../../src/adapters/mcp/tasks.ts";
import { keyedContext, toolCall } from "../../../src/adapters/tool-call.ts";
import { createToolCatalogs } from "../../../src/adapters/tool-catalog.ts";
import type { Caller } from "../../../src/auth/caller.ts";

const caller: Caller = { name: "crm", tenant: "default", scopes: new Set(["admin"]), tools: undefined };
const notFound = () => new ConnectError("?", Code.NotFound);

function aJob(change: Partial<Omit<Job, "$typeName">> = {}): Job {
  const job = create(JobSchema, {
    id: "t-1",
    source: "crm",
    calls: [toolCall("k-1", "work", {})],
    context: keyedContext("c-1"),
    state: JobState.EXECUTING,
    createTime: timestampFromMs(1000),
    updateTime: timestampFromMs(2000),
  });
  return Object.assign(job, change);
}

/** The tasks of one job, and what was asked of the services. */
function start(job: Job | ConnectError, call: object | ConnectError = notFound()) {
  const asked: [string, unknown][] = [];
  const answer = (method: string, answered: unknown) => async (request: unknown) => {
    asked.push([method, request]);
    if (answered instanceof Error) throw answered;
    return answered;
  };
  const found = job instanceof Error ? job : { job };
  const clients = {
    jobs: {
      getJob: answer("getJob", found),
      cancelJob: answer("cancelJob", {}),
      submitJob: answer("submitJob", found),
    },
    executor: {
      getCall: answer("getCall", call),
      listTools: answer("listTools", { tools: [{ name: "work", outputSchema: {} }], nextPageToken: "" }),
    },
  };
  const peer = { caller, clients, values: undefined } as unknown as Peer;
  const tasks = createTasks({
    catalogs: createToolCatalogs(),
    ttlMs: 60_000,
    pollIntervalMs: 500,
    maxOutput: 10,
    metaTail: ',"x":1',
  });
  return { tasks, peer, asked, clients };
}

const members = {
  taskId: "t-1",
  createdAt: "1970-01-01T00:00:01.000Z",
  lastUpdatedAt: "1970-01-01T00:00:02.000Z",
  ttlMs: 60_000,
  pollIntervalMs: 500,
};
const ok = (output: string) => create(ToolResultSchema, { callId: "k-1", name: "work", outcome: Outcome.OK, output });

describe("a task", () => {
  test.each([
    [JobState.ACCEPTED, "working"],
    [JobState.EXECUTING, "working"],
    [JobState.CANCELLED, "cancelled"],
    [JobState.DONE, "completed"],
  ])("of a job in state %s is %s", async (state, status) => {
    const { tasks, peer } = start(aJob({ state }));
    expect(JSON.parse(await tasks.get("t-1", peer))).toEqual({
      resultType: "complete",
      ...members,
      status,
      _meta: { x: 1 },
    });
  });

  test.each([
    ["the store is full", "the store is full"],
    ["", "The task could not be executed"],
  ])("of a dead job has failed: %j", async (error, message) => {
    const { tasks, peer } = start(aJob({ state: JobState.DEAD, error }));
    expect(JSON.parse(await tasks.get("t-1", peer))).toMatchObject({
      status: "failed",
      error: { code: -32603, message },
    });
  });

  test("includes its result once it has ended, in the form of the call's answer", async () => {
    const { tasks, peer, asked } = start(aJob({ state: JobState.DONE, results: [ok("12345")] }));
    expect(JSON.parse(await tasks.get("t-1", peer))).toMatchObject({
      status: "completed",
      result: { content: [{ type: "text", text: "12345" }], resultType: "complete", _meta: { x: 1 } },
    });
    expect(asked.map(([method]) => method)).toEqual(["getJob"]);
  });

  test("with a result beyond the caller's limit contains the shortened answer", async () => {
    const long = aJob({ state: JobState.DONE, results: [ok("ü".repeat(6))] });
    const text = async (call: object | ConnectError) => {
      const { tasks, peer, asked } = start(long, call);
      const { result } = JSON.parse(await tasks.get("t-1", peer)) as { result: { content: { text: string }[] } };
      expect(asked[1]).toEqual(["getCall", { callId: "k-1", context: keyedContext("c-1") }]);
      return result.content[0]?.text;
    };
    expect(await text({ result: ok("short") })).toBe("short");
    expect(await text(notFound())).toBe("ü".repeat(6));
    await expect(text(new ConnectError("away", Code.Unavailable))).rejects.toThrow("away");
    const fits = start(aJob({ state: JobState.DONE, results: [ok("ü".repeat(5))] }));
    await fits.tasks.get("t-1", fits.peer);
    expect(fits.asked).toHaveLength(1);
  });

  test("with a shortened answer is an error if its tool promises structured content", async () => {
    const cut = Object.assign(ok("12345"), { truncated: true });
    const { tasks, peer } = start(aJob({ state: JobState.DONE, results: [cut] }));
    expect(JSON.parse(await tasks.get("t-1", peer))).toMatchObject({ result: { isError: true } });
  });

  test.each<[string, unknown, Job | ConnectError]>([
    ["of another caller", "t-1", aJob({ source: "erp" })],
    ["of a job that the door did not make", "t-1", aJob({ context: { ...keyedContext(""), runId: "r" } })],
    ["that nobody knows", "t-1", notFound()],
    ["without an id", "", aJob()],
    ["with an id that is no text", 7, aJob()],
    ["with an id that is too long", "x".repeat(257), aJob()],
  ])("%s is not found", async (_what, id, job) => {
    const { tasks, peer } = start(job);
    for (const use of ["get", "cancel", "check"] as const) {
      await expect(tasks[use](id, peer)).rejects.toMatchObject({ code: -32602, message: "Task not found" });
    }
    expect(await tasks.status(id as string, peer)).toBeUndefined();
  });

  test("is found by the longest id, and a failure of the store is an error", async () => {
    const { tasks, peer } = start(aJob());
    await tasks.check("x".repeat(256), peer);
    const broken = start(new ConnectError("away", Code.Unavailable));
    await expect(broken.tasks.check("t-1", broken.peer)).rejects.toThrow("away");
  });

  test("reports its state to subscribers", async () => {
    const { tasks, peer } = start(aJob());
    const status = await tasks.status("t-1", peer);
    expect(status?.state).toBe(JobState.EXECUTING);
    expect(JSON.parse(`{${status?.text}}`)).toEqual({ ...members, status: "working" });
  });

  test("without times has the time 0", async () => {
    const { tasks, peer } = start(aJob({ createTime: undefined as never, updateTime: undefined as never }));
    expect(JSON.parse(await tasks.get("t-1", peer))).toMatchObject({ createdAt: "1970-01-01T00:00:00.000Z" });
  });
});

describe("cancelling a task", () => {
  const methods = async (job: Job, call: object | ConnectError) => {
    const { tasks, peer, asked } = start(job, call);
    await tasks.cancel("t-1", peer);
    return asked.slice(1);
  };

  test("succeeds if it has not started", async () => {
    expect(await methods(aJob({ state: JobState.ACCEPTED }), notFound())).toEqual([
      ["getCall", { callId: "k-1", context: keyedContext("c-1") }],
      ["cancelJob", { id: "t-1" }],
    ]);
  });

  test("has no effect if its job or its call has started", async () => {
    expect(await methods(aJob(), notFound())).toEqual([]);
    expect((await methods(aJob({ state: JobState.ACCEPTED }), {})).map(([method]) => method)).toEqual(["getCall"]);
  });

  test("tolerates that it starts in the meantime, and reports any other failure", async () => {
    const { tasks, peer, clients } = start(aJob({ state: JobState.ACCEPTED }));
    const fail = (code: Code) => {
      clients.jobs.cancelJob = async () => {
        throw new ConnectError("no", code);
      };
    };
    fail(Code.FailedPrecondition);
    await tasks.cancel("t-1", peer);
    fail(Code.Unavailable);
    await expect(tasks.cancel("t-1", peer)).rejects.toThrow("no");
  });
});

describe("creating a task", () => {
  const keyed = { call: toolCall("k-1", "work", { a: 1 }), context: keyedContext("c-1") };

  test("creates a job of its caller and key: the same request is the same job", async () => {
    const ids = async (who: Partial<Caller>, id = "k-1") => {
      const { tasks, peer, asked } = start(aJob({ source: who.name ?? "crm", calls: [toolCall(id, "work", {})] }));
      await tasks.start({ ...keyed, call: toolCall(id, "work", {}) }, { ...peer, caller: { ...caller, ...who } });
      return (asked[0]![1] as { job: Job }).job.id;
    };
    const all = [await ids({}), await ids({ tenant: "t" }), await ids({ name: "erp" }), await ids({}, "k-2")];
    expect(new Set(all).size).toBe(4);
    expect(all[0]).toMatch(/^[\w-]{43}$/);
    expect(await ids({})).toBe(all[0]);
  });

  test("returns the state working", async () => {
    const { tasks, peer, asked } = start(aJob());
    expect(JSON.parse(await tasks.start(keyed, peer))).toEqual({
      resultType: "task",
      ...members,
      status: "working",
      _meta: { x: 1 },
    });
    expect(asked).toMatchObject([["submitJob", { job: { calls: [keyed.call], context: keyed.context, source: "" } }]]);
  });

  test.each([
    ["is somebody else's", aJob({ source: "erp" })],
    ["is of another call", aJob({ calls: [toolCall("k-2", "work", {})] })],
    ["was not made by the door", aJob({ context: { ...keyedContext(""), runId: "r" } })],
  ])("reveals nothing if the job with its id %s", async (_what, job) => {
    const { tasks, peer } = start(job);
    await expect(tasks.start(keyed, peer)).rejects.toMatchObject({
      status: 500,
      message: "The task could not be created",
    });
  });
});

describe("the error that a client reads", () => {
  function open(fails: unknown, { aborted = false, scopes = ["tools:read", "tools:execute"] } = {}) {
    const logged: unknown[] = [];
    const door = createMcpDoor({
      version: "1",
      instructions: "",
      answerWithinMs: 1000,
      taskAfterMs: 100,
      pageSize: 10,
      listTtlMs: 5,
      maxOutput: 1000,
      taskTtlMs: 1000,
      stateSecret: async () => "secret",
      log: { error: (...line: unknown[]) => void logged.push(line) },
      missingScope: (scope) => new McpError(codes.invalidRequest, `no ${scope}`, { status: 403 }),
    });
    const signal = aborted ? AbortSignal.abort() : AbortSignal.any([]);
    const fail = async () => {
      throw fails;
    };
    const peer = {
      caller: { ...caller, scopes: new Set(scopes) },
      clients: { executor: { listTools: fail, executeTool: fail } },
      headers: undefined,
      values: undefined,
      signal,
      about: { call: "k-1" },
      events: undefined,
    } as unknown as Peer;
    const handle = (method: string, params: object = {}) =>
      door.handle({ jsonrpc: "2.0", id: 1, method, params }, peer);
    return { handle, logged };
  }

  const list = async (fails: unknown, options = {}) => {
    const { handle, logged } = open(fails, options);
    const { status, text, headers } = (await handle("tools/list"))!;
    const { error } = JSON.parse(text) as { error: { code: number; message: string } };
    return [status, error.code, error.message, headers?.["retry-after"], logged.length];
  };

  test.each<[string, Error, unknown[]]>([
    ["an argument", new ConnectError("no", Code.InvalidArgument), [200, -32602, "no", undefined, 0]],
    ["the store", new ConnectError("away", Code.Unavailable), [503, -32603, "away", "1", 0]],
    ["a deadline", new ConnectError("late", Code.DeadlineExceeded), [503, -32603, "late", "1", 0]],
    ["something full", new ConnectError("full", Code.ResourceExhausted), [503, -32603, "full", "1", 0]],
    [
      "the caller's rate",
      new ConnectError("slow", Code.ResourceExhausted, { "retry-after": "7" }),
      [429, -32603, "slow", "7", 0],
    ],
    ["our own fault", new ConnectError("secret", Code.Internal), [500, -32603, "Internal error", undefined, 1]],
    ["any other fault", new Error("secret"), [500, -32603, "Internal error", undefined, 1]],
  ])("for %s", async (_what, fails, read) => {
    expect(await list(fails)).toEqual(read);
  });

  test("says that the request was cancelled, or which scope is missing", async () => {
    expect(await list(new Error("x"), { aborted: true })).toEqual([
      200,
      -32603,
      "The request was cancelled",
      undefined,
      0,
    ]);
    expect((await list(new Error("x"), { scopes: ["tools:execute"] })).slice(0, 3)).toEqual([
      403,
      -32600,
      "no tools:read",
    ]);
  });

  test("does not name the call, which only the log does", async () => {
    const { handle, logged } = open(new Error("secret"));
    expect((await handle("tools/list"))?.text).not.toContain("k-1");
    expect(logged).toEqual([[{ err: expect.any(Error) as Error, call: "k-1" }, "an MCP request failed"]]);
  });

  test("says which extension its request requires", async () => {
    const { handle } = open(new Error("x"));
    const _meta = {
      [reserved.protocolVersion]: "2026-07-28",
      [reserved.clientCapabilities]: {},
    };
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      const answer = await handle(method, { taskId: "t", _meta });
      expect(answer?.status).toBe(400);
      expect(JSON.parse(answer?.text ?? "")).toEqual({
        jsonrpc: "2.0",
        id: 1,
        error: {
          code: -32021,
          message: `${method} needs the extension io.modelcontextprotocol/tasks`,
          data: { requiredCapabilities: { extensions: { "io.modelcontextprotocol/tasks": {} } } },
        },
      });
    }
  });

  test("has no instructions if there are none", async () => {
    const { handle } = open(new Error("x"));
    const discovery = JSON.parse((await handle("initialize"))?.text ?? "") as { result: object };
    expect(discovery.result).toMatchObject({ protocolVersion: "2025-11-25", serverInfo: { name: "jackfield" } });
    expect(discovery.result).not.toHaveProperty("instructions");
  });
});
