import type { FastifyReply } from "fastify";
import { Outcome, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import { durationOf } from "../answer-budget.ts";
import { sendJson } from "../replies.ts";
import { PayloadError, type RawExchange, type RawRoute } from "../route.ts";
import {
  conversationFromHeaders,
  invalidConversation,
  invalidKey,
  isId,
  keyedContext,
  keyFromHeaders,
  randomCallId,
  toolCall,
} from "../tool-call.ts";
import type { ToolCatalogs } from "../tool-catalog.ts";
import type { HttpRouteBase, RefuseScope } from "./route-base.ts";
import { hasNull, withoutNulls } from "./null-arguments.ts";
import { answerText, readPayload, waitFrom } from "./payloads.ts";

/** Dependencies of the route. */
export interface CallRouteParts {
  readonly catalogs: ToolCatalogs;
  readonly refuseScope: RefuseScope;
  readonly answerWithinMs: number;
}

/** Creates `POST /tools/{name}`: the body is the arguments, and every outcome is a 200. */
export function createCallRoute(
  base: HttpRouteBase,
  { catalogs, refuseScope, answerWithinMs }: CallRouteParts,
): RawRoute {
  const answerWithin = durationOf(answerWithinMs);

  async function fewerNulls(
    name: string,
    args: Record<string, unknown>,
    { caller, clients }: RawExchange,
  ): Promise<unknown> {
    const tool = (await catalogs.get(caller, clients)).find(name);
    return tool === undefined ? args : withoutNulls(args, tool.inputSchema);
  }

  async function serve(exchange: RawExchange): Promise<FastifyReply> {
    // All requests of this tick are read before the first one is executed (see server/port.ts).
    await Promise.resolve();
    const { request, reply, clients, trace, signal } = exchange;
    if (refuseScope(exchange, "tools:execute")) return reply;
    const { name = "" } = request.params as { name?: string };
    const payload = readPayload(request.body);
    const callId = keyFromHeaders(request.headers) ?? payload.callId ?? randomCallId();
    if (!isId(callId)) throw new PayloadError(invalidKey);
    const conversationId = conversationFromHeaders(request.headers) ?? payload.conversationId ?? "";
    if (conversationId !== "" && !isId(conversationId)) throw new PayloadError(invalidConversation);
    trace?.set({ "gen_ai.tool.call.id": callId, "gen_ai.conversation.id": conversationId });
    const wait = waitFrom(request.headers.prefer);
    const args = hasNull(payload.arguments) ? await fewerNulls(name, payload.arguments, exchange) : payload.arguments;
    const { result } = await clients.executor.executeTool(
      {
        $typeName: "jackfield.v1.ExecuteToolRequest",
        call: toolCall(callId, name, args ?? []),
        context: keyedContext(conversationId),
        answerWithin: wait === undefined ? answerWithin : durationOf(wait * 1000),
      },
      trace === undefined ? { signal } : { signal, contextValues: trace.values },
    );
    if (result === undefined) throw new TypeError("the executor answered without a result");
    if (wait !== undefined) reply.header("preference-applied", `wait=${wait}`);
    return sendJson(reply, answerText(callId, visible(result, name)));
  }

  return { ...base, method: "POST", path: "/tools/:name", bodyIsArguments: true, serve };
}

/** A tool that the caller may not use is reported as unknown. */
function visible(result: ToolResult, name: string): ToolResult {
  if (result.outcome !== Outcome.DENIED || result.error?.message !== modelError("denied", name)) return result;
  const message = modelError("unknown-tool", name);
  return { ...result, outcome: Outcome.UNKNOWN_TOOL, output: message, error: { ...result.error, message } };
}
