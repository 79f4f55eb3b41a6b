import type { FastifyReply, FastifyRequest } from "fastify";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import type { RequestTrace } from "./adapter.ts";
import { answerDuration } from "./answer-budget.ts";
import { retrySeconds, sendFailure, sendJson } from "./replies.ts";
import type { RouteContext } from "./route-context.ts";
import type { AnswerRoute } from "./route.ts";

/** Serves a route of kind `answer`. The hottest path of the adapters: a plain call allocates nothing that it can do without. */
export function serveAnswer(route: AnswerRoute, context: RouteContext) {
  const { pending } = context;
  const answerWithin = answerDuration(route.answerWithinMs);

  const watchOutlived = ({ clients, caller }: FastifyRequest, callId: string): void =>
    pending?.calls.outlived({
      caller: caller.name,
      callId,
      clients,
      onEnd: (result) => context.measure(route.measureLateResult?.(result)),
    });

  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    // All requests of this tick are read before the first is executed: see server/port.ts.
    await Promise.resolve();
    const call = route.call(request.body);
    if (pending !== undefined && !pending.calls.begin(request.caller.name, call.id)) {
      const { message } = pending;
      const failure = { status: 503, message, retryAfter: retrySeconds, payload: request.body };
      context.measure(route.measureFailure?.(failure));
      return sendFailure(reply, route, failure);
    }
    let trace: RequestTrace | undefined;
    try {
      trace = context.startTrace(request, route);
      trace?.set({ "gen_ai.tool.call.id": call.id });
      const signal = context.clientGone(request, reply);
      const { result } = await request.clients.executor.executeTool(
        { $typeName: "jackfield.v1.ExecuteToolRequest", call, answerWithin },
        trace === undefined ? { signal } : { signal, contextValues: trace.values },
      );
      if (result === undefined) throw new TypeError("the executor answered without a result");
      if (result.outcome === Outcome.PENDING) watchOutlived(request, call.id);
      context.measure(route.measureAnswer?.(result));
      sendJson(reply, route.answer(call, result));
      trace?.end(200);
      return reply;
    } catch (error) {
      trace?.end(500);
      throw error;
    } finally {
      pending?.calls.end();
    }
  };
}
