import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Calls } from "../gen/jackfield/v1/calls_pb.ts";
import { Conversations } from "../gen/jackfield/v1/conversations_pb.ts";
import { Jobs } from "../gen/jackfield/v1/jobs_pb.ts";
import { ToolExecutor } from "../gen/jackfield/v1/tool_executor_pb.ts";
import { ToolRegistry } from "../gen/jackfield/v1/tool_registry_pb.ts";

export {
  type EraseConversationRequest,
  EraseConversationRequestSchema,
  type EraseConversationResponse,
  EraseConversationResponseSchema,
} from "../gen/jackfield/v1/calls_pb.ts";
export {
  type ConversationDone,
  ConversationDoneSchema,
  type ModelTurn,
  ModelTurnSchema,
  type RunConversationRequest,
  RunConversationRequestSchema,
  type RunConversationResponse,
  RunConversationResponseSchema,
} from "../gen/jackfield/v1/conversations_pb.ts";
export { type Job, JobSchema, JobState } from "../gen/jackfield/v1/jobs_pb.ts";
export {
  CallState,
  type ExecuteToolRequest,
  ExecuteToolRequestSchema,
  type ExecuteToolResponse,
  ExecuteToolResponseSchema,
  type ExecuteToolsRequest,
  ExecuteToolsRequestSchema,
  type ExecuteToolsResponse,
  ExecuteToolsResponseSchema,
} from "../gen/jackfield/v1/tool_executor_pb.ts";
export {
  type CallContext,
  CallContextSchema,
  Effect,
  Outcome,
  type Progress,
  ProgressSchema,
  type Tool,
  type ToolCall,
  ToolCallSchema,
  type ToolError,
  ToolErrorSchema,
  type ToolResult,
  ToolResultSchema,
  ToolSchema,
  type Violation,
  ViolationSchema,
} from "../gen/jackfield/v1/tool_pb.ts";
export { ToolPlugin } from "../gen/jackfield/v1/tool_plugin_pb.ts";
export {
  type GrpcTarget,
  GrpcTargetSchema,
  type HttpTarget,
  HttpTargetSchema,
  type ToolTarget,
  ToolTargetSchema,
} from "../gen/jackfield/v1/tool_registry_pb.ts";
export { Calls, Conversations, Jobs, ToolExecutor, ToolRegistry };

/** Address of the service and credentials of the caller. */
export interface JackfieldClientOptions {
  /** Base URL, for example `http://127.0.0.1:8080`. */
  readonly baseUrl: string;
  /** Sent as `Authorization: Bearer`. Omitted if it is empty. */
  readonly apiKey?: string | undefined;
  /** Replaces Connect over HTTP/1.1, for example with gRPC. The transport must then send the key itself. */
  readonly transport?: Transport;
}

/** The clients of a service, one for each of its RPC services. */
export interface JackfieldClient {
  readonly executor: Client<typeof ToolExecutor>;
  readonly registry: Client<typeof ToolRegistry>;
  readonly jobs: Client<typeof Jobs>;
  readonly conversations: Client<typeof Conversations>;
  readonly calls: Client<typeof Calls>;
}

/**
 * Creates the clients of a service. Their calls reject with a ConnectError. Idle connections do not keep the process
 * alive.
 *
 * ```ts
 * const { executor } = createJackfieldClient({ baseUrl: "http://127.0.0.1:8080", apiKey });
 * const { tools } = await executor.listTools({});
 * ```
 */
export function createJackfieldClient({ baseUrl, apiKey, transport }: JackfieldClientOptions): JackfieldClient {
  const interceptors = apiKey ? [bearer(apiKey)] : [];
  const over = transport ?? createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors });
  return {
    executor: createClient(ToolExecutor, over),
    registry: createClient(ToolRegistry, over),
    jobs: createClient(Jobs, over),
    conversations: createClient(Conversations, over),
    calls: createClient(Calls, over),
  };
}

function bearer(key: string): Interceptor {
  return (next) => (request) => {
    request.header.set("authorization", `Bearer ${key}`);
    return next(request);
  };
}
