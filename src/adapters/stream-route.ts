import type { FastifyReply, FastifyRequest } from "fastify";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ExecuteToolsResponse } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { settledWithin } from "../timing.ts";
import type { RequestTrace } from "./adapter.ts";
import { answerDuration } from "./answer-budget.ts";
import { resultsInOrder } from "./missing-results.ts";
import { type RouteContext, whenClosedEarly } from "./route-context.ts";
import type { Batch, StreamRoute } from "./route.ts";
import { type EventStream, openEventStream } from "./sse.ts";

type Events = AsyncIterator<ExecuteToolsResponse>;
type Next = IteratorResult<ExecuteToolsResponse>;

/** One request while its events are streamed. */
interface Streaming {
  readonly batch: Batch;
  readonly request: FastifyRequest;
  readonly events: Events;
  readonly first: Promise<Next>;
  readonly disconnectSignal: AbortSignal;
}

/** Serves a route of kind `stream`: progress while calls run, then all results in one event. */
export function serveStream(route: StreamRoute, context: RouteContext) {
  const { host, times } = context;
  const answerWithin = answerDuration(route.answerWithinMs);
  const streamTimes = { commentEveryMs: times.commentEveryMs, closeAfterMs: route.answerWithinMs + times.lingerMs };

  function start(batch: Batch, request: FastifyRequest, signal: AbortSignal, trace: RequestTrace | undefined): Events {
    const { calls, context } = batch;
    const events = request.clients.executor.executeTools(
      { $typeName: "jackfield.v1.ExecuteToolsRequest", calls, context, answerWithin },
      { signal, contextValues: trace?.values },
    );
    return events[Symbol.asyncIterator]();
  }

  /** Forwards events as they arrive. `ended` collects the results, so that they survive an interrupted stream. */
  async function relay({ batch, events, first }: Streaming, stream: EventStream, ended: ToolResult[]) {
    const total = batch.calls.length;
    for (let next = await first; next.done !== true; next = await events.next()) {
      const { event } = next.value;
      if (event.case === "done") return event.value.results;
      if (event.case === "result") {
        ended.push(event.value);
        stream.send(route.progress({ ended: ended.length, total, event }));
      } else if (event.case === "progress") {
        stream.offer(route.progress({ ended: ended.length, total, event }));
      }
    }
    throw new TypeError("the executor ended a batch without its results");
  }

  async function answer(streaming: Streaming, stream: EventStream): Promise<void> {
    const { batch, request, disconnectSignal } = streaming;
    const ended: ToolResult[] = [];
    try {
      stream.send(route.results(batch, await relay(streaming, stream, ended)));
    } catch (error) {
      if (disconnectSignal.aborted) return;
      // The status has already been sent. It remains to report the last known state of each call.
      host.log.error({ err: error, ...request.about }, "batch interrupted while its results were streamed");
      stream.send(route.results(batch, await resultsInOrder(batch, ended, error, request.clients)));
    } finally {
      stream.end();
    }
  }

  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const batch = route.batch(request.body);
    const trace = context.startTrace(request, route);
    const { conversationId, sessionId } = batch.context;
    request.about = { conversation: conversationId || undefined, session: sessionId || undefined };
    trace?.set({ "gen_ai.conversation.id": conversationId, "session.id": sessionId });
    const disconnectSignal = whenClosedEarly(reply);
    const events = start(batch, request, disconnectSignal, trace);
    const first = events.next();
    try {
      // A failure before the first event, such as a shutdown, can still be reported as an HTTP status.
      if (await settledWithin(first, times.openAfterMs)) await first;
    } catch (error) {
      trace?.end(500);
      throw error;
    }
    await answer({ batch, request, events, first, disconnectSignal }, openEventStream(reply, streamTimes));
    trace?.end(200);
    return reply;
  };
}
