import { randomUUID } from "node:crypto";
import { create, type JsonObject } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { Context } from "@opentelemetry/api";
import {
  type RunConversationRequest,
  type RunConversationResponse,
  RunConversationResponseSchema,
} from "../../gen/jackfield/v1/conversations_pb.ts";
import type { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import type { ToolCall, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { rpcError } from "../errors.ts";
import { createGateway, type GatewayOptions } from "./gateway.ts";
import { merge } from "./merge.ts";
import type { ModelAnswer } from "./model-answer.ts";
import {
  observeConversation,
  type Observation,
  type Observer,
  describeReason,
  roundMs,
  type ObservedSpan,
} from "./observe.ts";
import { type OfferedTools, offeredTools } from "./offered-tools.ts";
import { refusedCall, runCall } from "./run-call.ts";
import { contentOf } from "./tool-content.ts";

/** Dependencies and limits of the conversation loop. */
export interface ConversationsOptions {
  /** Client with the service's own rights, for conversations without a client of their own. */
  readonly executor: Client<typeof ToolExecutor>;
  readonly gateway: GatewayOptions;
  readonly observation: Observation;
  /** Maximum length of a tool message's content in code points; 4096 by default. */
  readonly maxOutputChars?: number;
  /** Maximum number of calls executed from one model answer; 64 by default. */
  readonly callsPerRequest?: number;
  /** Wall clock in milliseconds. */
  readonly now?: () => number;
}

/** Context of one conversation. */
export interface ConversationScope {
  readonly signal: AbortSignal;
  /** Parent of the conversation's span. */
  readonly trace?: Context | undefined;
  /**
   * Client with the rights of the caller who started the conversation, so that the model sees and uses that caller's
   * tools only.
   */
  readonly executor?: Client<typeof ToolExecutor>;
}

/**
 * Runs conversations between a model and the tools: it asks the model, executes the calls in its answer, returns the
 * results, and repeats until the model answers with text.
 */
export interface Conversations {
  /**
   * Yields the events of the conversation; the last one is its end. Throws a ConnectError, or the reason of the signal.
   */
  run(request: RunConversationRequest, scope: ConversationScope): AsyncIterable<RunConversationResponse>;
}

const maxRequests = 5;
const tooManyRequests = "Maximum tool execution iterations reached.";
/** Maximum number of concurrent calls from one answer. */
const width = 64;
const maxIdLength = 256;

/**
 * Creates the loop of requirements 002. Repeating a conversation with the same conversation id and call ids repeats no
 * write: the ledger returns the stored results.
 */
export function createConversations(options: ConversationsOptions): Conversations {
  const { gateway, observation, maxOutputChars = 4096, callsPerRequest = 64, now = Date.now } = options;
  const requestModel = createGateway(gateway);

  return {
    async *run(request, scope) {
      const { message, model, conversationId } = request;
      if (message === "") throw rpcError("invalid-request", "message must not be empty");
      if (conversationId.length > maxIdLength) throw rpcError("id-too-long", "conversation_id");
      const about = { id: conversationId || randomUUID(), model: model || "gpt-4o" };
      const observer = observeConversation(observation, { ...about, nowMs: now() }, scope.trace);
      let problem: string | undefined = "The caller has gone away.";
      try {
        const executor = scope.executor ?? options.executor;
        const end = yield* loop({
          ...about,
          message,
          executor,
          signal: scope.signal,
          observer,
          contextValues: observation.contextValues,
        });
        problem = end.text === tooManyRequests && end.rounds === maxRequests ? tooManyRequests : undefined;
        yield event({ case: "done", value: { $typeName: "jackfield.v1.ConversationDone", ...end } });
      } catch (reason) {
        problem = describeReason(reason);
        throw reason;
      } finally {
        observer.conversation.end(problem);
      }
    },
  };

  async function* loop(
    active: ActiveConversation,
  ): AsyncGenerator<RunConversationResponse, { text: string; rounds: number }> {
    const { observer, signal, model } = active;
    const tools = await offeredTools(active.executor, signal);
    const messages: JsonObject[] = [{ role: "user", content: active.message }];
    for (let iteration = 0; iteration < maxRequests; iteration += 1) {
      const span = observer.invocation(iteration, tools.definitions.length);
      try {
        const begun = performance.now();
        const answer = await requestModel(
          { model, messages, tools: tools.definitions, conversationId: active.id },
          signal,
          span.context,
        ).finally(() => span.set({ latency_ms: roundMs(performance.now() - begun) }));
        yield turn(iteration, answer);
        if (answer.calls.length === 0) return { text: answer.text, rounds: iteration + 1 };
        // Results of the last answer's calls would never reach the model.
        if (iteration + 1 === maxRequests) break;
        messages.push(answer.message, ...(yield* answerCalls(active, answer, tools, span)));
      } catch (reason) {
        span.end(describeReason(reason));
        throw reason;
      } finally {
        span.end();
      }
    }
    return { text: tooManyRequests, rounds: maxRequests };
  }

  /**
   * Executes the calls of one answer concurrently and returns the messages that answer them, in the order of the calls.
   */
  async function* answerCalls(
    active: ActiveConversation,
    answer: ModelAnswer,
    tools: OfferedTools,
    parent: ObservedSpan,
  ): AsyncGenerator<RunConversationResponse, JsonObject[]> {
    const calls = answer.calls.map((call) => ({ ...call, name: tools.nameOf(call.name) }));
    for (const call of calls) yield event({ case: "call", value: call });
    const results: (ToolResult | undefined)[] = calls.map(() => undefined);
    // Ends the wait for the other calls when the consumer stops iterating, or when one call fails the conversation.
    const stop = new AbortController();
    const signal = AbortSignal.any([active.signal, stop.signal]);
    for (const [index, call] of calls.entries()) {
      if (index >= callsPerRequest)
        results[index] = refusedCall(call, `Too many tool calls: at most ${callsPerRequest} are run`);
    }
    const sources = calls
      .slice(0, callsPerRequest)
      .map((call, index) => () => watched(active, call, parent, signal, (result) => (results[index] = result)));
    try {
      yield* merge(sources, width);
    } finally {
      stop.abort();
    }
    return calls.map((call, index) => ({
      role: "tool",
      tool_call_id: call.id,
      content: contentOf(results[index]!, maxOutputChars),
    }));
  }
}

/** One running conversation. */
interface ActiveConversation {
  readonly id: string;
  readonly model: string;
  readonly message: string;
  readonly executor: Client<typeof ToolExecutor>;
  readonly signal: AbortSignal;
  readonly observer: Observer;
  readonly contextValues: Observation["contextValues"];
}

async function* watched(
  { executor, id, observer, contextValues }: ActiveConversation,
  call: ToolCall,
  parent: ObservedSpan,
  signal: AbortSignal,
  keep: (result: ToolResult) => void,
): AsyncGenerator<RunConversationResponse> {
  const span = observer.tool(call, parent);
  const begun = performance.now();
  try {
    for await (const happened of runCall(call, {
      executor,
      conversationId: id,
      signal,
      contextValues: contextValues(span.context),
    })) {
      if (happened.case === "result") {
        keep(happened.value);
        observer.toolEnded(happened.value, span, roundMs(performance.now() - begun));
      }
      yield event(happened);
    }
  } catch (reason) {
    span.set({ success: false });
    span.end(describeReason(reason));
    throw reason;
  } finally {
    span.end("The caller has gone away.");
  }
}

function turn(iteration: number, { text, calls }: ModelAnswer): RunConversationResponse {
  return event({
    case: "turn",
    value: { $typeName: "jackfield.v1.ModelTurn", iteration, text, toolCalls: calls.length },
  });
}

function event(happened: RunConversationResponse["event"]): RunConversationResponse {
  return create(RunConversationResponseSchema, { event: happened });
}
