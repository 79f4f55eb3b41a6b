import type { FastifyReply, FastifyRequest } from "fastify";
import { Outcome, type ToolCall, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { ExecuteToolsResponse } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { modelError } from "../errors.ts";
import type { Batch, StreamRoute } from "./adapter.ts";
import { answerWithin } from "./answer-within.ts";
import { whenClosedEarly } from "./client-gone.ts";
import type { MountedAdapter } from "./mounted.ts";
import { type RequestTrace, traceRequest } from "./request-trace.ts";
import { type EventStream, openEventStream } from "./sse.ts";

type Events = AsyncIterator<ExecuteToolsResponse>;
type Next = IteratorResult<ExecuteToolsResponse>;

/** Serves a route of kind `stream`: progress while calls run, then all results in one event. */
export function serveStream(route: StreamRoute, { host, times }: MountedAdapter) {
  const deadline = answerWithin(route.answerWithinMs);
  const streamTimes = { commentEveryMs: times.commentEveryMs, closeAfterMs: route.answerWithinMs + times.lingerMs };

  function start(batch: Batch, request: FastifyRequest, signal: AbortSignal, trace: RequestTrace | undefined): Events {
    const { executor } = host.clientsFor(request.keyName);
    const events = executor.executeTools(
      {
        $typeName: "jackfield.v1.ExecuteToolsRequest",
        calls: batch.calls,
        context: batch.context,
        answerWithin: deadline,
      },
      { signal, contextValues: trace?.values },
    );
    return events[Symbol.asyncIterator]();
  }

  /** Passes events on as they come. `ended` is filled with the results, so that they outlast a stream that breaks. */
  async function relay(first: Promise<Next>, events: Events, total: number, stream: EventStream, ended: ToolResult[]) {
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
    return undefined;
  }

  async function answer(batch: Batch, first: Promise<Next>, events: Events, stream: EventStream, gone: AbortSignal) {
    const ended: ToolResult[] = [];
    try {
      const results = await relay(first, events, batch.calls.length, stream, ended);
      stream.send(route.results(batch, results ?? inOrder(batch.calls, ended)));
    } catch (error) {
      if (gone.aborted) return;
      // The status is sent: what is left is to say honestly what is known of each call.
      host.telemetry.log.error({ err: error }, "a batch broke off while its results were streamed");
      stream.send(route.results(batch, inOrder(batch.calls, ended)));
    } finally {
      stream.end();
    }
  }

  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const batch = route.batch(request.body);
    const trace = traceRequest(host.telemetry, request, route);
    const gone = whenClosedEarly(reply);
    const events = start(batch, request, gone, trace);
    const first = events.next();
    try {
      // What fails at once, the service going down for one, can still be said with a status.
      await firstSign(first, times.openAfterMs);
    } catch (error) {
      trace?.end(500);
      throw error;
    }
    await answer(batch, first, events, openEventStream(reply, streamTimes), gone);
    trace?.end(200);
    return reply;
  };
}

/** Waits for the first event, or for so many milliseconds. Rejects with what the first event rejects with by then. */
async function firstSign(first: Promise<Next>, ms: number): Promise<void> {
  const late = Promise.withResolvers<void>();
  const timer = setTimeout(late.resolve, ms);
  try {
    await Promise.race([first, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** A result for each call, in their order; of a call whose end was not heard of it is not known what it did. */
function inOrder(calls: readonly ToolCall[], ended: readonly ToolResult[]): ToolResult[] {
  const left = [...ended];
  return calls.map((call) => {
    const index = left.findIndex((result) => result.callId === call.id && result.name === call.name);
    const found = index < 0 ? undefined : left.splice(index, 1)[0];
    return found ?? unheardOf(call);
  });
}

function unheardOf(call: ToolCall): ToolResult {
  const message = modelError("uncertain");
  return {
    $typeName: "jackfield.v1.ToolResult",
    callId: call.id,
    name: call.name,
    outcome: Outcome.UNCERTAIN,
    output: message,
    error: { $typeName: "jackfield.v1.ToolError", message, violations: [] },
    truncated: false,
    replayed: false,
    attempts: 0,
  };
}
