import type { FastifyReply, FastifyRequest } from "fastify";
import type { ExecuteToolResponse } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome, type ToolCall } from "../../gen/jackfield/v1/tool_pb.ts";
import type { AnswerRoute } from "./adapter.ts";
import { answerWithin } from "./answer-within.ts";
import { retrySeconds, sendFault, sendJson } from "./fault.ts";
import type { MountedAdapter } from "./mounted.ts";
import { type RequestTrace, traceRequest } from "./request-trace.ts";

/** Serves a route of kind `answer`. The hottest path of the adapters: nothing is made here that a plain call can do without. */
export function serveAnswer(route: AnswerRoute, { host, clientGone, pending }: MountedAdapter) {
  const within = answerWithin(route.answerWithinMs);

  const execute = (
    call: ToolCall,
    request: FastifyRequest,
    reply: FastifyReply,
    trace: RequestTrace | undefined,
  ): Promise<ExecuteToolResponse> => {
    const signal = clientGone(request, reply);
    return host
      .clientsFor(request.keyName)
      .executor.executeTool(
        { $typeName: "jackfield.v1.ExecuteToolRequest", call, answerWithin: within },
        trace === undefined ? { signal } : { signal, contextValues: trace.values },
      );
  };

  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    // All requests of this turn are read before the first is executed: see server/turn.ts.
    await Promise.resolve();
    const call = route.call(request.body);
    if (pending !== undefined && !pending.calls.admits(request.keyName, call.id)) {
      const message = pending.refusal;
      return sendFault(reply, route, { status: 503, message, retryAfter: retrySeconds, payload: request.body });
    }
    const trace = traceRequest(host.telemetry, request, route);
    pending?.calls.began();
    let running = false;
    try {
      const { result } = await execute(call, request, reply, trace);
      if (result === undefined) throw new TypeError("the executor answered without a result");
      running = result.outcome === Outcome.PENDING;
      route.answered?.(result, host.telemetry);
      sendJson(reply, route.answer(call, result));
      trace?.end(200);
      return reply;
    } catch (error) {
      trace?.end(500);
      throw error;
    } finally {
      pending?.calls.answered(request.keyName, call.id, running);
    }
  };
}
