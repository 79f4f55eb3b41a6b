import { Code, ConnectError } from "@connectrpc/connect";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { GetCallResponse } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { AdapterClients, RequestTrace } from "./adapter.ts";
import { sendReply } from "./replies.ts";
import type { RouteContext } from "./route-context.ts";
import type { PollRoute } from "./route.ts";

/** Serves a route of kind `poll`. */
export function servePoll(route: PollRoute, context: RouteContext) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const callId = route.callId(request.params as Record<string, string>);
    if (callId === undefined) return sendReply(reply, route.unknown(undefined));
    const trace = context.startTrace(request, route);
    try {
      const found = await findCall(request.clients, callId, trace);
      const answer =
        found === undefined
          ? route.unknown(callId)
          : found.result === undefined
            ? route.running(callId)
            : route.answered(callId, found.result);
      trace?.end(answer.status);
      return sendReply(reply, answer);
    } catch (error) {
      trace?.end(500);
      throw error;
    }
  };
}

/** Finds a call. Returns undefined if it is unknown. The services return no result for a running call. */
async function findCall(
  { executor }: AdapterClients,
  callId: string,
  trace: RequestTrace | undefined,
): Promise<GetCallResponse | undefined> {
  try {
    return await executor.getCall({ callId }, trace && { contextValues: trace.values });
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.NotFound) return undefined;
    throw error;
  }
}
