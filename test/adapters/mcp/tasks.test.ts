import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { type Job, JobSchema, JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import { Outcome, ToolResultSchema } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Peer } from "../../../src/adapters/mcp/peer.ts";
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

/** The tasks of one job, and the requests to the services. */
function start(job: Job | ConnectError, call: object | ConnectError = notFound()) {
  const requests: [string, unknown][] = [];
  const answer = (method: string, answered: unknown) => async (request: unknown) => {
    requests.push([method, request]);
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
  return { tasks, peer, requests, clients };
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
      _meta: { "jackfield/callId": "k-1", x: 1 },
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
    const { tasks, peer, requests } = start(aJob({ state: JobState.DONE, results: [ok("12345")] }));
    expect(JSON.parse(await tasks.get("t-1", peer))).toMatchObject({
      status: "completed",
      result: { content: [{ type: "text", text: "12345" }], resultType: "complete", _meta: { x: 1 } },
    });
    expect(requests.map(([method]) => method)).toEqual(["getJob"]);
  });

  test("with a result beyond the caller's limit contains the shortened answer", async () => {
    const long = aJob({ state: JobState.DONE, results: [ok("ü".repeat(6))] });
    const text = async (call: object | ConnectError) => {
      const { tasks, peer, requests } = start(long, call);
      const { result } = JSON.parse(await tasks.get("t-1", peer)) as { result: { content: { text: string }[] } };
      expect(requests[1]).toEqual(["getCall", { callId: "k-1", context: keyedContext("c-1") }]);
      return result.content[0]?.text;
    };
    expect(await text({ result: ok("short") })).toBe("short");
    expect(await text(notFound())).toBe("ü".repeat(6));
    await expect(text(new ConnectError("away", Code.Unavailable))).rejects.toThrow("away");
    const fits = start(aJob({ state: JobState.DONE, results: [ok("ü".repeat(5))] }));
    await fits.tasks.get("t-1", fits.peer);
    expect(fits.requests).toHaveLength(1);
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
    const { tasks, peer, requests } = start(job, call);
    await tasks.cancel("t-1", peer);
    return requests.slice(1);
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
      const { tasks, peer, requests } = start(aJob({ source: who.name ?? "crm", calls: [toolCall(id, "work", {})] }));
      await tasks.start({ ...keyed, call: toolCall(id, "work", {}) }, { ...peer, caller: { ...caller, ...who } });
      return (requests[0]![1] as { job: Job }).job.id;
    };
    const all = [await ids({}), await ids({ tenant: "t" }), await ids({ name: "erp" }), await ids({}, "k-2")];
    expect(new Set(all).size).toBe(4);
    expect(all[0]).toMatch(/^[\w-]{43}$/);
    expect(await ids({})).toBe(all[0]);
  });

  test("returns the state working", async () => {
    const { tasks, peer, requests } = start(aJob());
    expect(JSON.parse(await tasks.start(keyed, peer))).toEqual({
      resultType: "task",
      ...members,
      status: "working",
      _meta: { "jackfield/callId": "k-1", x: 1 },
    });
    expect(requests).toMatchObject([
      ["submitJob", { job: { calls: [keyed.call], context: keyed.context, source: "" } }],
    ]);
  });

  describe("whose key has a task in another conversation", () => {
    const stored = (name: string, args: string) =>
      aJob({ calls: [{ ...toolCall("k-1", name, {}), input: { case: "argumentsJson", value: args } }] });
    const startAgain = async (job: Job | ConnectError) => {
      const { tasks, peer, clients } = start(job);
      clients.jobs.submitJob = async () => {
        throw new ConnectError("?", Code.AlreadyExists);
      };
      const elsewhere = { call: toolCall("k-1", "work", { b: 2, a: 1 }), context: keyedContext("c-2") };
      return JSON.parse(await tasks.start(elsewhere, peer)) as object;
    };

    test("returns that task for the same call: a key is one call of its caller", async () => {
      expect(await startAgain(stored("work", '{"a":1,"b":2}'))).toMatchObject({
        resultType: "task",
        taskId: "t-1",
        status: "working",
      });
    });

    test.each([
      ["of another tool", stored("other", '{"a":1,"b":2}')],
      ["with other arguments", stored("work", '{"a":1}')],
    ])("is a conflict for a call %s", async (_what, job) => {
      expect(await startAgain(job)).toEqual({
        content: [{ type: "text", text: "This call id was already used with other arguments." }],
        isError: true,
        resultType: "complete",
        _meta: { "jackfield/callId": "k-1", "jackfield/outcome": "CONFLICT", "jackfield/replayed": false, x: 1 },
      });
    });

    test.each([
      ["somebody else's", aJob({ source: "erp" })],
      ["gone", notFound()],
    ])("reveals nothing if the job is %s", async (_what, job) => {
      await expect(startAgain(job)).rejects.toMatchObject({ message: "The task could not be created" });
    });
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
