import { Code, ConnectError } from "@connectrpc/connect";
import type { FastifyReply, FastifyRequest } from "fastify";
import { CallState, type GetCallResponse } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { AdapterClients, PollRoute } from "./adapter.ts";
import { sendReply } from "./fault.ts";
import type { MountedAdapter } from "./mounted.ts";
import { type RequestTrace, traceRequest } from "./request-trace.ts";

/** Serves a route of kind `poll`. */
export function servePoll(route: PollRoute, { host }: MountedAdapter) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const callId = route.callId(request.params as Record<string, string>);
    if (callId === undefined) return sendReply(reply, route.unknown(undefined));
    const trace = traceRequest(host.telemetry, request, route);
    try {
      const found = await findCall(host.clientsFor(request.keyName), callId, trace);
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

/** What is known of a call, undefined where nothing is. A running call has no result. */
export async function findCall(
  clients: AdapterClients,
  callId: string,
  trace?: RequestTrace,
): Promise<GetCallResponse | undefined> {
  try {
    const found = await clients.executor.getCall({ callId }, trace && { contextValues: trace.values });
    return found.state === CallState.RUNNING ? { ...found, result: undefined } : found;
  } catch (error) {
    if (error instanceof ConnectError && error.code === Code.NotFound) return undefined;
    throw error;
  }
}
