import { describe, expect, test } from "vitest";
import { JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import type { Tool } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { EventSink, Peer } from "../../../src/adapters/mcp/peer.ts";
import { reserved } from "../../../src/adapters/mcp/protocol.ts";
import { createSubscriptions } from "../../../src/adapters/mcp/subscriptions.ts";
import type { Tasks } from "../../../src/adapters/mcp/tasks.ts";
import type { AdapterClients } from "../../../src/adapters/adapter.ts";
import type { ToolCatalog } from "../../../src/adapters/tool-catalog.ts";
import { localCaller } from "../../../src/auth/authenticator.ts";
import { until } from "../start-adapter.ts";

type TaskStatus = Awaited<ReturnType<Tasks["status"]>>;

const catalog = (...names: string[]): ToolCatalog => ({
  tools: names.map((name) => ({ name }) as Tool),
  find: () => undefined,
});

/** Subscriptions to a list and tasks that the test changes. They are polled every millisecond. */
function start({ maxListeners = 10 } = {}) {
  const world = {
    list: catalog("a") as ToolCatalog | Error,
    tasks: new Map<string, TaskStatus | Error>(),
  };
  const requests: { what: string; clients: AdapterClients }[] = [];
  const subscriptions = createSubscriptions({
    catalogs: {
      get: () => catalog(),
      async refresh(_caller, clients) {
        requests.push({ what: "list", clients });
        if (world.list instanceof Error) throw world.list;
        return world.list;
      },
    },
    tasks: {
      async status(id: string, { clients }: Peer) {
        requests.push({ what: id, clients });
        const status = world.tasks.get(id);
        if (status instanceof Error) throw status;
        return status;
      },
    } as Tasks,
    pollEveryMs: 1,
    maxListeners,
    metaTail: ',"x":1',
  });

  /** A client that listens. While its connection is blocked, offered messages are dropped. */
  function listen(notifications: unknown, id = 1) {
    const sent: unknown[] = [];
    const client = { behind: false };
    const gone = new AbortController();
    const events: EventSink = {
      send: (text) => void sent.push(JSON.parse(text)),
      offer(text) {
        if (!client.behind) sent.push(JSON.parse(text));
        return !client.behind;
      },
    };
    const unmetered = { unmetered: true } as unknown as AdapterClients;
    const clients = { unmetered } as unknown as AdapterClients;
    const peer = {
      caller: localCaller,
      clients,
      headers: undefined,
      values: undefined,
      signal: gone.signal,
      about: {},
      events,
    } as Peer;
    const params = notifications === undefined ? {} : { notifications };
    const ended = subscriptions.listen({ id, method: "subscriptions/listen", params, meta: {} }, peer);
    ended.catch(() => undefined);
    return { sent, client, gone, ended, peer };
  }

  /** Waits until everything has been polled this number of times more. */
  async function turns(what: string, count = 2) {
    const before = requests.length;
    await until(() => requests.slice(before).filter((one) => one.what === what).length >= count);
  }
  return { world, requests, subscriptions, listen, turns };
}

const meta = (id = 1) => ({ [reserved.subscriptionId]: id });
const acknowledged = (notifications: object, id = 1) => ({
  jsonrpc: "2.0",
  method: "notifications/subscriptions/acknowledged",
  params: { _meta: meta(id), notifications },
});
const listChanged = { jsonrpc: "2.0", method: "notifications/tools/list_changed", params: { _meta: meta() } };
const task = (state: JobState, status: string): TaskStatus => ({ state, text: `"taskId":"t","status":"${status}"` });
const taskMessage = (status: string) => ({
  jsonrpc: "2.0",
  method: "notifications/tasks",
  params: { taskId: "t", status, _meta: meta() },
});

describe("a listener", () => {
  test("is told what it listens to, which is nothing by default", async () => {
    const { listen, subscriptions, requests } = start();
    const listeners = [undefined, 7, {}, { toolsListChanged: "yes" }, { taskIds: [] }].map((wanted) => listen(wanted));
    for (const { sent } of listeners) {
      await until(() => sent.length > 0);
      expect(sent).toEqual([acknowledged({})]);
    }
    expect(requests).toEqual([]);
    subscriptions.close();
    await Promise.all(listeners.map(({ ended }) => ended));
  });

  test("ends with its id at shutdown, or when its client disconnects", async () => {
    const { listen, subscriptions } = start();
    const first = listen({ toolsListChanged: true }, 7);
    await until(() => first.sent.length > 0);
    first.gone.abort();
    const result = { resultType: "complete", _meta: { ...meta(7), x: 1 } };
    expect(JSON.parse(await first.ended)).toEqual(result);
    const second = listen({ toolsListChanged: true }, 7);
    await until(() => second.sent.length > 0);
    subscriptions.close();
    expect(JSON.parse(await second.ended)).toEqual(result);
  });

  test("ends at once if its client disconnected meanwhile", async () => {
    const { listen, subscriptions } = start();
    const { gone, ended } = listen({ toolsListChanged: true });
    gone.abort();
    await ended;
    const other = listen({ toolsListChanged: true });
    subscriptions.close();
    await other.ended;
  });

  test("is refused beyond the limit, and after shutdown", async () => {
    const { listen, subscriptions } = start({ maxListeners: 2 });
    const open = [listen({}), listen({})];
    const refusal = {
      status: 503,
      code: -32603,
      headers: { "retry-after": "60" },
      message: "Too many subscriptions are open: at most 2. Close one, or ask tools/list and tasks/get.",
    };
    await expect(listen({}).ended).rejects.toMatchObject(refusal);
    await until(() => open[0]!.sent.length > 0);
    open[0]!.gone.abort();
    await open[0]!.ended;
    const next = listen({});
    await until(() => next.sent.length > 0);
    subscriptions.close();
    await next.ended;
    await expect(listen({}).ended).rejects.toMatchObject(refusal);
  });

  test("frees its slot if it could not be set up", async () => {
    const { listen, world, subscriptions } = start({ maxListeners: 1 });
    world.list = new Error("away");
    await expect(listen({ toolsListChanged: true }).ended).rejects.toThrow("away");
    const { sent, ended } = listen({});
    await until(() => sent.length > 0);
    subscriptions.close();
    await ended;
  });

  test.each([["t"], [{ 0: "t" }], [[7]], [["t", undefined]], [Array.from({ length: 101 }, (_, index) => `t${index}`)]])(
    "may watch at most a hundred task ids, and nothing else: %j",
    async (taskIds) => {
      const { listen } = start();
      await expect(listen({ taskIds }).ended).rejects.toMatchObject({
        code: -32602,
        message: "taskIds must be a list of at most 100 task ids",
      });
    },
  );

  test("watches the tasks that exist", async () => {
    const { listen, world, subscriptions } = start();
    const taskIds = Array.from({ length: 100 }, (_, index) => `t${index}`);
    world.tasks.set("t3", task(JobState.EXECUTING, "working"));
    const { sent, ended } = listen({ taskIds });
    await until(() => sent.length > 0);
    expect(sent[0]).toEqual(acknowledged({ taskIds: ["t3"] }));
    subscriptions.close();
    await ended;
  });
});

describe("the notifications of a listener", () => {
  test("report each change of the list once, without counting against the rate limit", async () => {
    const { listen, world, subscriptions, requests, turns } = start();
    const { sent, ended, peer } = listen({ toolsListChanged: true });
    await until(() => sent.length > 0);
    expect(requests[0]).toEqual({ what: "list", clients: peer.clients });
    await turns("list");
    expect(sent).toEqual([acknowledged({ toolsListChanged: true })]);
    world.list = catalog("a", "b");
    await until(() => sent.length > 1);
    await turns("list");
    expect(sent.slice(1)).toEqual([listChanged]);
    expect(new Set(requests.slice(1).map(({ clients }) => clients))).toEqual(new Set([peer.clients.unmetered]));
    subscriptions.close();
    await ended;
  });

  test("continue after the list could not be read", async () => {
    const { listen, world, subscriptions, turns } = start();
    const { sent, ended } = listen({ toolsListChanged: true });
    await until(() => sent.length > 0);
    world.list = new Error("away");
    await turns("list");
    expect(sent).toHaveLength(1);
    world.list = catalog("b");
    await until(() => sent.length > 1);
    expect(sent[1]).toEqual(listChanged);
    subscriptions.close();
    await ended;
  });

  test("need one listing per turn for all listeners of a caller", async () => {
    const { listen, world, subscriptions, requests, turns } = start();
    world.tasks.set("t", task(JobState.EXECUTING, "working"));
    const wanted = [{ toolsListChanged: true }, { toolsListChanged: true }, { toolsListChanged: true, taskIds: ["t"] }];
    const listeners = wanted.map((notifications) => listen(notifications));
    for (const { sent } of listeners) await until(() => sent.length > 0);
    await turns("t");
    const before = requests.length;
    await turns("t", 5);
    const looks = requests.slice(before).map(({ what }) => what);
    expect(looks.slice(0, 6).join()).toMatch(/^(?:list,t,list,t,list,t|t,list,t,list,t,list)$/);
    subscriptions.close();
    await Promise.all(listeners.map(({ ended }) => ended));
  });

  test("are sent once a slow client has caught up", async () => {
    const { listen, world, subscriptions, turns } = start();
    world.tasks.set("t", task(JobState.ACCEPTED, "working"));
    const { sent, ended, client } = listen({ toolsListChanged: true, taskIds: ["t"] });
    await until(() => sent.length > 1);
    client.behind = true;
    world.list = catalog("b");
    world.tasks.set("t", task(JobState.DONE, "completed"));
    await turns("t");
    expect(sent).toEqual([acknowledged({ toolsListChanged: true, taskIds: ["t"] }), taskMessage("working")]);
    client.behind = false;
    await until(() => sent.length > 3);
    expect(sent.slice(2)).toEqual(expect.arrayContaining([listChanged, taskMessage("completed")]));
    subscriptions.close();
    await ended;
  });

  test("report each state of a task once, until it has ended", async () => {
    const { listen, world, subscriptions, turns, requests } = start();
    world.tasks.set("t", task(JobState.ACCEPTED, "working"));
    const { sent, ended, peer } = listen({ taskIds: ["t"] });
    await until(() => sent.length > 1);
    await turns("t");
    expect(sent.slice(1)).toEqual([taskMessage("working")]);
    world.tasks.set("t", new Error("away"));
    await turns("t");
    world.tasks.set("t", undefined);
    await turns("t");
    expect(sent).toHaveLength(2);
    world.tasks.set("t", task(JobState.EXECUTING, "working"));
    await until(() => sent.length > 2);
    world.tasks.set("t", task(JobState.DONE, "completed"));
    await until(() => sent.length > 3);
    expect(sent.slice(1)).toEqual(["working", "working", "completed"].map(taskMessage));
    const other = listen({ toolsListChanged: true }, 2);
    const before = requests.length;
    await turns("list", 3);
    expect(requests.slice(before).filter(({ what }) => what === "t")).toEqual([]);
    expect(requests.filter(({ what }) => what === "t").at(-1)?.clients).toBe(peer.clients.unmetered);
    subscriptions.close();
    await Promise.all([ended, other.ended]);
  });
});
