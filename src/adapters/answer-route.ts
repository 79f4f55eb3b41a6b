import { setTimeout as sleep } from "node:timers/promises";
import { Code, ConnectError } from "@connectrpc/connect";
import type { FastifyReply, FastifyRequest } from "fastify";
import { CallState } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { AdapterClients, RequestTrace } from "./adapter.ts";
import { answerDuration } from "./answer-budget.ts";
import { jsonType, retrySeconds, sendFailure } from "./replies.ts";
import type { RouteContext } from "./route-context.ts";
import type { AnswerRoute } from "./route.ts";

/**
 * Serves a route of kind `answer`. This is the busiest path of the adapters, so a plain call allocates as little as
 * possible.
 */
export function serveAnswer(route: AnswerRoute, context: RouteContext) {
  const { measure } = context.host;
  const answerWithin = answerDuration(route.answerWithinMs);
  const { pending } = route;
  const outlived = createOutlivedCalls({ retryMs: context.times.pendingRetryMs });
  context.onClose(outlived.close);
  let waiting = 0;

  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    // All requests of this tick are read before the first one is executed (see server/port.ts).
    await Promise.resolve();
    const call = route.call(request.body);
    const { caller, clients } = request;
    // A repeat of a call that is already counted may always wait.
    if (
      pending !== undefined &&
      waiting + outlived.running.size >= pending.limit &&
      !outlived.running.has(keyOf(caller.name, call.id))
    ) {
      const failure = { status: 503, message: pending.message, retryAfter: retrySeconds, payload: request.body };
      route.measureFailure?.(failure, measure);
      return sendFailure(reply, route, failure);
    }
    waiting += 1;
    let trace: RequestTrace | undefined;
    try {
      trace = context.startTrace(request, route);
      trace?.set({ "gen_ai.tool.call.id": call.id });
      const signal = context.disconnectSignal(request, reply);
      const { result } = await clients.executor.executeTool(
        { $typeName: "jackfield.v1.ExecuteToolRequest", call, answerWithin },
        trace === undefined ? { signal } : { signal, contextValues: trace.values },
      );
      if (result === undefined) throw new TypeError("the executor answered without a result");
      if (result.outcome === Outcome.PENDING && pending !== undefined) {
        const onEnd = (late: ToolResult): void => route.measureLateResult?.(late, measure);
        outlived.add({ caller: caller.name, callId: call.id, clients, onEnd });
      }
      const body = route.answer(call, result);
      route.measureAnswer?.(result, measure);
      reply.header("content-type", jsonType).send(body);
      trace?.end(200);
      return reply;
    } catch (error) {
      trace?.end(500);
      throw error;
    } finally {
      waiting -= 1;
    }
  };
}

/** How calls that outlived their answers are watched. Times are in milliseconds. */
export interface OutlivedCallsOptions {
  /** Pause after an attempt to read the state of a call failed. */
  readonly retryMs?: number;
  /** A call that is still running after this time is no longer counted. */
  readonly staleAfterMs?: number;
  readonly now?: () => number;
}

/** A call that outlived its answer. */
export interface OutlivedCall {
  /** Name of the caller: ids are unique per caller. */
  readonly caller: string;
  readonly callId: string;
  readonly clients: Pick<AdapterClients, "executor">;
  /** Called once with the result, if the call ends while it is counted. */
  onEnd?(result: ToolResult): void;
}

/** Calls that outlived their answers. Each stays in the set until it ends, which `WaitCall` reports. */
export interface OutlivedCalls {
  /** The running calls, by `keyOf`. */
  readonly running: ReadonlySet<string>;
  add(call: OutlivedCall): void;
  close(): void;
}

/** Creates an empty set of such calls. */
export function createOutlivedCalls(options: OutlivedCallsOptions): OutlivedCalls {
  const { retryMs = 1000, staleAfterMs = 86_400_000, now = () => performance.now() } = options;
  const running = new Set<string>();
  const closed = new AbortController();

  async function watch(call: OutlivedCall, key: string): Promise<void> {
    const until = now() + staleAfterMs;
    try {
      while (now() < until && !closed.signal.aborted) {
        const state = await stateOf(call, closed.signal);
        if (state.ended) {
          if (state.result !== undefined) call.onEnd?.(state.result);
          return;
        }
        if (state.unreachable) await sleep(retryMs, undefined, { ref: false, signal: closed.signal });
      }
    } catch {
      // Only closing the adapter ends the pause early.
    } finally {
      running.delete(key);
    }
  }

  return {
    running,
    add(call) {
      const key = keyOf(call.caller, call.callId);
      if (running.has(key)) return;
      running.add(key);
      void watch(call, key);
    },
    close: () => closed.abort(),
  };
}

function keyOf(caller: string, callId: string): string {
  return `${caller}\n${callId}`;
}

interface CallStateFound {
  readonly ended: boolean;
  readonly unreachable?: boolean;
  readonly result?: ToolResult | undefined;
}

/** Waits until the call has ended, but at most as long as `WaitCall` waits. */
async function stateOf({ clients, callId }: OutlivedCall, signal: AbortSignal): Promise<CallStateFound> {
  try {
    const { state, result } = await clients.executor.waitCall({ callId }, { signal });
    return { ended: state !== CallState.RUNNING, result };
  } catch (error) {
    const notFound = error instanceof ConnectError && error.code === Code.NotFound;
    return { ended: notFound, unreachable: !notFound };
  }
}
