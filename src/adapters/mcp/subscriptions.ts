import type { JobState } from "../../../gen/jackfield/v1/jobs_pb.ts";
import type { Caller } from "../../auth/caller.ts";
import { isObject } from "../tool-call.ts";
import type { ToolCatalog, ToolCatalogs } from "../tool-catalog.ts";
import type { RequestMessage } from "./message.ts";
import type { EventSink, Peer } from "./peer.ts";
import { codes, McpError, notificationText, type RequestId, reserved } from "./protocol.ts";
import type { Tasks } from "./tasks.ts";

/** Streams of notifications to clients. */
export interface Subscriptions {
  /**
   * Serves `subscriptions/listen`. Resolves with the JSON text of the result when the service shuts down or the client
   * disconnects.
   */
  listen(message: RequestMessage, peer: Peer): Promise<string>;
  /** Ends all streams. */
  close(): void;
}

/** Settings of subscriptions. */
export interface SubscriptionsOptions {
  readonly catalogs: ToolCatalogs;
  readonly tasks: Tasks;
  /** Interval at which lists and tasks are checked, in milliseconds. */
  readonly pollEveryMs: number;
  /** Maximum number of open streams. */
  readonly maxListeners: number;
  /** JSON text that ends the `_meta` of a result, starting with a comma. */
  readonly metaTail: string;
}

/** Maximum number of tasks that one stream may watch. */
const maxTaskIds = 100;

interface Listener {
  readonly id: RequestId;
  readonly peer: Peer;
  readonly events: EventSink;
  readonly tools: boolean;
  /** The list that the client knows. */
  catalog: ToolCatalog | undefined;
  /** The watched tasks that have not ended, with the state that the client knows. */
  readonly taskStates: Map<string, JobState | undefined>;
  end(): void;
}

/**
 * Creates the subscriptions. The services announce no changes, so as long as there are listeners, each caller's list
 * and the watched tasks are polled. A slow client gets the changes that it missed when it has caught up.
 */
export function createSubscriptions(options: SubscriptionsOptions): Subscriptions {
  const { catalogs, tasks, pollEveryMs, maxListeners, metaTail } = options;
  const listeners = new Set<Listener>();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  function schedule(): void {
    if (timer === undefined && listeners.size > 0 && !closed)
      timer = setTimeout(() => void poll(), pollEveryMs).unref();
  }

  async function poll(): Promise<void> {
    const lists = new Map<Caller, Promise<ToolCatalog | undefined>>();
    for (const { tools, peer } of listeners) {
      if (!tools || lists.has(peer.caller)) continue;
      // If the list cannot be read now, the next poll reads it.
      lists.set(
        peer.caller,
        catalogs.refresh(peer.caller, peer.clients).catch(() => undefined),
      );
    }
    for (const listener of listeners) {
      if (listener.tools) announceList(listener, await lists.get(listener.peer.caller));
      for (const taskId of listener.taskStates.keys()) await announceTask(listener, taskId);
    }
    timer = undefined;
    schedule();
  }

  function announceList(listener: Listener, current: ToolCatalog | undefined): void {
    if (current === undefined || current === listener.catalog) return;
    const text = notificationText("notifications/tools/list_changed", { _meta: metaOf(listener.id) });
    if (listener.catalog === undefined || listener.events.offer(text)) listener.catalog = current;
  }

  async function announceTask(listener: Listener, taskId: string): Promise<void> {
    const status = await tasks.status(taskId, listener.peer).catch(() => undefined);
    if (status === undefined || status.state === listener.taskStates.get(taskId)) return;
    const params = `{${status.text},"_meta":${JSON.stringify(metaOf(listener.id))}}`;
    if (!listener.events.offer(`{"jsonrpc":"2.0","method":"notifications/tasks","params":${params}}`)) return;
    if (/"status":"working"/.test(status.text)) listener.taskStates.set(taskId, status.state);
    else listener.taskStates.delete(taskId);
  }

  async function wantedTasks(notifications: Record<string, unknown>, peer: Peer): Promise<string[]> {
    const given = notifications["taskIds"];
    if (given === undefined) return [];
    if (!Array.isArray(given) || given.length > maxTaskIds || !given.every((id) => typeof id === "string")) {
      throw new McpError(codes.invalidParams, `taskIds must be a list of at most ${maxTaskIds} task ids`);
    }
    const found = await Promise.all(
      given.map(async (id) => ((await tasks.status(id, peer)) === undefined ? [] : [id])),
    );
    return found.flat();
  }

  return {
    async listen({ id, params }, peer) {
      const { events } = peer;
      if (events === undefined) {
        throw new McpError(codes.invalidRequest, "subscriptions/listen needs Accept: text/event-stream", {
          status: 406,
        });
      }
      if (closed || listeners.size >= maxListeners) {
        throw new McpError(
          codes.internal,
          `Too many subscriptions are open: at most ${maxListeners}. Close one, or ask tools/list and tasks/get.`,
          { status: 503, headers: { "retry-after": "60" } },
        );
      }
      const notifications = isObject(params["notifications"]) ? params["notifications"] : {};
      const tools = notifications["toolsListChanged"] === true;
      const ended = Promise.withResolvers<void>();
      const listener: Listener = {
        id,
        // Polling must not use up the caller's rate limit.
        peer: { ...peer, clients: peer.clients.unmetered ?? peer.clients },
        events,
        tools,
        catalog: undefined,
        taskStates: new Map(),
        end: ended.resolve,
      };
      // Counted before the first await, because many clients may arrive at once.
      listeners.add(listener);
      try {
        const taskIds = await wantedTasks(notifications, peer);
        if (tools) listener.catalog = await catalogs.refresh(peer.caller, peer.clients);
        for (const taskId of taskIds) listener.taskStates.set(taskId, undefined);
        events.send(
          notificationText("notifications/subscriptions/acknowledged", {
            _meta: metaOf(id),
            notifications: { ...(tools && { toolsListChanged: true }), ...(taskIds.length > 0 && { taskIds }) },
          }),
        );
        peer.signal.addEventListener("abort", listener.end, { once: true });
        if (peer.signal.aborted || closed) listener.end();
        schedule();
        await ended.promise;
        return `{"resultType":"complete","_meta":{${JSON.stringify(reserved.subscriptionId)}:${JSON.stringify(id)}${metaTail}}}`;
      } finally {
        listeners.delete(listener);
      }
    },
    close() {
      closed = true;
      clearTimeout(timer);
      for (const listener of listeners) listener.end();
    },
  };
}

function metaOf(id: RequestId): object {
  return { [reserved.subscriptionId]: id };
}
