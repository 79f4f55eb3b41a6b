import { Code, ConnectError } from "@connectrpc/connect";
import type { FastifyReply } from "fastify";
import type { GetCallResponse } from "../../../gen/jackfield/v1/tool_executor_pb.ts";
import { sendJson } from "../replies.ts";
import type { RawExchange, RawRoute } from "../route.ts";
import { isId, keyedContext } from "../tool-call.ts";
import type { HttpRouteBase, RefuseScope } from "./route-base.ts";
import { answerText, runningText, waitFrom } from "./payloads.ts";

/**
 * Creates `GET /calls/{callId}`: the answer of an earlier call of the same caller, on any entry point that accepts
 * keys.
 */
export function createFindRoute(base: HttpRouteBase, { refuseScope }: { refuseScope: RefuseScope }): RawRoute {
  async function find(callId: string, wait: number | undefined, exchange: RawExchange): Promise<GetCallResponse> {
    const { clients, trace, signal } = exchange;
    const { executor } = clients;
    const request = { callId, context: keyedContext("") };
    const options = { signal, ...(trace !== undefined && { contextValues: trace.values }) };
    if (wait === undefined) return await executor.getCall(request, options);
    // WaitCall answers half a second before the deadline.
    const { state, result } = await executor.waitCall(request, { ...options, timeoutMs: wait * 1000 + 500 });
    return { $typeName: "jackfield.v1.GetCallResponse", state, result };
  }

  async function serve(exchange: RawExchange): Promise<FastifyReply> {
    const { request, reply } = exchange;
    if (refuseScope(exchange, "tools:execute")) return reply;
    const { callId } = request.params as { callId?: string };
    if (!isId(callId)) return sendUnknown(reply);
    const wait = waitFrom(request.headers.prefer);
    try {
      const { result } = await find(callId, wait, exchange);
      if (wait !== undefined) reply.header("preference-applied", `wait=${wait}`);
      return sendJson(reply, result === undefined ? runningText(callId) : answerText(callId, result));
    } catch (error) {
      if (error instanceof ConnectError && error.code === Code.NotFound) return sendUnknown(reply);
      throw error;
    }
  }

  return { ...base, method: "GET", path: "/calls/:callId", serve };
}

function sendUnknown(reply: FastifyReply): FastifyReply {
  return sendJson(reply.code(404), '{"error":"Unknown call"}');
}
