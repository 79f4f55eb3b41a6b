import type { JsonObject } from "@bufbuild/protobuf";
import { Outcome, type ToolCall, type ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { durationOf } from "../answer-budget.ts";
import {
  conversationFromHeaders,
  invalidConversation,
  invalidKey,
  isId,
  isObject,
  keyedContext,
  keyFromHeaders,
  randomCallId,
  toolCall,
} from "../tool-call.ts";
import type { ToolCatalogs } from "../tool-catalog.ts";
import { callIdText, callResultText, dependsOnOutputSchema } from "./call-result.ts";
import type { Era } from "./era.ts";
import type { RequestMessage } from "./message.ts";
import type { ClientCapabilities } from "./modern-request.ts";
import type { Peer } from "./peer.ts";
import { execute, type KeyedCall } from "./execute.ts";
import { codes, McpError, own } from "./protocol.ts";
import type { RequestState, RequestStates } from "./request-state.ts";
import type { Tasks } from "./tasks.ts";

/** Dependencies and settings of tool calls. */
export interface CallToolParts {
  readonly catalogs: ToolCatalogs;
  readonly states: RequestStates;
  readonly tasks: Tasks;
  /** Maximum wait of one request, in milliseconds. */
  readonly answerWithinMs: number;
  /** Time after which a call becomes a task, in milliseconds. */
  readonly taskAfterMs: number;
  /** JSON text that ends the `_meta` of a modern result, starting with a comma. */
  readonly metaTail: string;
}

/** Maximum number of requests that may wait for one call. */
const maxRounds = 8;

/** Creates `tools/call`, which returns the JSON text of the result. */
export function createCallTool(parts: CallToolParts) {
  const { catalogs, states, tasks, metaTail } = parts;
  const answerWithin = durationOf(parts.answerWithinMs);
  const taskAfter = durationOf(parts.taskAfterMs);

  async function stateFrom(text: unknown, name: string, { caller }: Peer): Promise<RequestState> {
    const state = await states.read(text, caller, name);
    if (state === undefined) throw new McpError(codes.invalidParams, "Invalid requestState");
    return state;
  }

  /** Returns the id of the call, and the number of requests that have waited for it. */
  function identityOf(
    { params, meta }: RequestMessage,
    name: string,
    peer: Peer,
  ): RequestState | Promise<RequestState> {
    if (params["requestState"] !== undefined) return stateFrom(params["requestState"], name, peer);
    const key = meta[own.idempotencyKey] ?? (peer.headers && keyFromHeaders(peer.headers));
    if (key === undefined) return { callId: randomCallId(), rounds: 0 };
    if (!isId(key)) throw new McpError(codes.invalidParams, invalidKey);
    return { callId: key, rounds: 0 };
  }

  async function resultText(result: ToolResult, era: Era, peer: Peer): Promise<string> {
    const tool = (await catalogs.get(peer.caller, peer.clients)).find(result.name);
    return callResultText(result, { era, hasOutputSchema: tool?.outputSchema !== undefined, metaTail });
  }

  return async (message: RequestMessage, era: Era, capabilities: ClientCapabilities, peer: Peer): Promise<string> => {
    const { params } = message;
    const { name } = params;
    if (typeof name !== "string") throw new McpError(codes.invalidParams, "params.name must be the name of a tool");
    const identity = identityOf(message, name, peer);
    const { callId, rounds } = identity instanceof Promise ? await identity : identity;
    const conversation = conversationOf(message, peer);
    peer.about.call = callId;
    if (conversation !== "") peer.about.conversation = conversation;
    const keyed: KeyedCall = {
      call: toolCall(callId, name, argumentsOf(params["arguments"])) satisfies ToolCall,
      context: keyedContext(conversation),
    };
    const { result } = await execute(keyed, capabilities.tasks ? taskAfter : answerWithin, message, peer);
    if (result === undefined) throw new TypeError("the executor answered without a result");
    if (result.outcome === Outcome.UNKNOWN_TOOL || result.outcome === Outcome.DENIED) {
      throw new McpError(codes.invalidParams, `Unknown tool: ${name}`);
    }
    if (result.outcome === Outcome.PENDING && era === "modern") {
      if (capabilities.tasks) return await tasks.start(keyed, peer);
      if (rounds + 1 < maxRounds) {
        // Without the store the client cannot continue waiting. It is told not to repeat the call.
        const state = await states.write({ callId, rounds: rounds + 1 }, peer.caller, name).catch(() => undefined);
        if (state === undefined) return callResultText(result, { era, hasOutputSchema: false, metaTail });
        return `{"resultType":"input_required","requestState":${JSON.stringify(state)},"_meta":{${callIdText(callId)}${metaTail}}}`;
      }
    }
    if (dependsOnOutputSchema(result)) return await resultText(result, era, peer);
    return callResultText(result, { era, hasOutputSchema: false, metaTail });
  };
}

function argumentsOf(value: unknown): JsonObject {
  if (value === undefined) return {};
  if (!isObject(value)) throw new McpError(codes.invalidParams, "params.arguments must be an object");
  return value as JsonObject;
}

function conversationOf({ meta }: RequestMessage, { headers }: Peer): string {
  const id = meta[own.conversationId] ?? (headers && conversationFromHeaders(headers));
  if (id === undefined) return "";
  if (!isId(id)) throw new McpError(codes.invalidParams, invalidConversation);
  return id;
}
