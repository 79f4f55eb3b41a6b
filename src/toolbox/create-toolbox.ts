import type { JsonObject } from "@bufbuild/protobuf";
import type { Client } from "@connectrpc/connect";
import type { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome, type Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import { createJackfieldClient, type JackfieldClientOptions } from "../client.ts";
import { type AnthropicTool, anthropicTools } from "../definitions/anthropic.ts";
import { type OpenaiTool, openaiTools } from "../definitions/openai.ts";
import { argumentsSchema, byName } from "../definitions/parts.ts";
import {
  type AnthropicMessage,
  type ChatCompletion,
  formatOf,
  type FunctionCallOutput,
  type FunctionResponseContent,
  type GeminiResponse,
  type ModelAnswer,
  type ModelCall,
  type OpenaiResponse,
  type ToolMessage,
  type ToolResultMessage,
} from "./model-calls.ts";

/** Address of the service, credentials, and the conversation. */
export interface ToolboxOptions extends JackfieldClientOptions {
  /**
   * Id of the conversation. Repeats of a model's call are recognised within it, also from another process. If omitted,
   * the toolbox generates an id, and recognises repeats only among its own calls.
   */
  readonly conversationId?: string;
  /**
   * Maximum time in milliseconds to wait for the answer of one call. After that the model reads that the call is still
   * running.
   */
  readonly answerWithinMs?: number;
}

/** A tool in the format of the Vercel AI SDK. */
export interface AiSdkTool {
  readonly description: string;
  readonly inputSchema: {
    readonly "~standard": {
      readonly version: 1;
      readonly vendor: string;
      readonly validate: (value: unknown) => { readonly value: unknown };
      readonly jsonSchema: {
        readonly input: (options: { readonly target: string }) => Record<string, unknown>;
        readonly output: (options: { readonly target: string }) => Record<string, unknown>;
      };
    };
  };
  execute(
    args: unknown,
    options: { readonly toolCallId: string; readonly abortSignal?: AbortSignal | undefined },
  ): Promise<string>;
}

/** A tool in the format of OpenAI's Responses API. */
export interface OpenaiFunctionTool {
  type: "function";
  name: string;
  description: string;
  parameters: JsonObject;
  strict: false;
}

/** The declarations of all tools in the format of Google's Gemini API. */
export interface GeminiTool {
  functionDeclarations: { name: string; description: string; parametersJsonSchema: JsonObject }[];
}

/** Options of `run`. */
export interface RunOptions {
  /** Ends the wait. Calls with side effects continue, and their outcomes are recorded. */
  readonly signal?: AbortSignal;
}

/**
 * The tools of a running service, for programs that talk to a model themselves. The id that the model gives a call is its
 * idempotency key: running the same history again returns the stored answers and repeats no side effect. The failure of a
 * tool is an answer for the model; a failure of the service rejects with a ConnectError.
 */
export interface Toolbox {
  readonly conversationId: string;
  /** The tools, by name. */
  readonly tools: readonly Tool[];
  /** For `generateText` and `streamText` of the AI SDK. */
  aiSdk(): Record<string, AiSdkTool>;
  /** For `responses.create`. */
  openai(): OpenaiFunctionTool[];
  /** For `chat.completions.create`. */
  openaiChat(): OpenaiTool[];
  /** For `messages.create`. */
  anthropic(): AnthropicTool[];
  /** For `models.generateContent`. */
  gemini(): GeminiTool[];
  /**
   * Runs all calls in a model's answer concurrently. Resolves with the messages to append to the history, in the order of
   * the calls.
   */
  run(answer: OpenaiResponse, options?: RunOptions): Promise<FunctionCallOutput[]>;
  run(answer: ChatCompletion, options?: RunOptions): Promise<ToolMessage[]>;
  run(answer: AnthropicMessage, options?: RunOptions): Promise<ToolResultMessage[]>;
  run(answer: GeminiResponse, options?: RunOptions): Promise<FunctionResponseContent[]>;
}

/** Lists the tools of the service once and creates a toolbox of them. Rejects with a ConnectError. */
export async function createToolbox(options: ToolboxOptions): Promise<Toolbox> {
  const { conversationId = crypto.randomUUID(), answerWithinMs } = options;
  const { executor } = createJackfieldClient(options);
  const tools = byName(await listTools(executor));

  async function call(
    { id, name, arguments: args }: ModelCall,
    signal?: AbortSignal,
  ): Promise<{ output: string; isError: boolean }> {
    const { result } = await executor.executeTool(
      {
        call: { id: id ?? crypto.randomUUID(), name, input: { case: "argumentsJson", value: argumentsText(args) } },
        context: { conversationId },
        ...(answerWithinMs !== undefined && {
          answerWithin: { seconds: BigInt(Math.floor(answerWithinMs / 1000)), nanos: (answerWithinMs % 1000) * 1e6 },
        }),
      },
      signal && { signal },
    );
    return { output: result?.output ?? "", isError: result?.outcome !== Outcome.OK };
  }

  // One implementation for all overloads: the format of the answer determines the format of the result.
  async function run(answer: ModelAnswer, { signal }: RunOptions = {}): Promise<never[]> {
    const format = formatOf(answer);
    const answers = await Promise.all(format.calls.map(async (one) => ({ call: one, ...(await call(one, signal)) })));
    return format.write(answers) as never[];
  }

  return {
    conversationId,
    tools,
    aiSdk: () =>
      Object.fromEntries(
        tools.map((tool): [string, AiSdkTool] => [
          tool.name,
          {
            description: tool.description,
            inputSchema: standardSchema(argumentsSchema(tool)),
            execute: async (args, { toolCallId, abortSignal }) =>
              (await call({ id: toolCallId, name: tool.name, arguments: args }, abortSignal)).output,
          },
        ]),
      ),
    openai: () =>
      tools.map((tool) => ({
        type: "function",
        name: tool.name,
        description: tool.description,
        parameters: argumentsSchema(tool),
        strict: false,
      })),
    openaiChat: () => openaiTools(tools),
    anthropic: () => anthropicTools(tools),
    gemini: () => [
      {
        functionDeclarations: tools.map((tool) => ({
          name: tool.name,
          description: tool.description,
          parametersJsonSchema: argumentsSchema(tool),
        })),
      },
    ],
    run,
  };
}

async function listTools(executor: Client<typeof ToolExecutor>): Promise<Tool[]> {
  const tools: Tool[] = [];
  let pageToken = "";
  do {
    const page = await executor.listTools({ pageSize: 1000, pageToken });
    tools.push(...page.tools);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return tools;
}

/** Serialises arguments as text, so that the service receives them as the model wrote them. */
function argumentsText(args: unknown): string {
  return typeof args === "string" ? args : JSON.stringify(args ?? {});
}

/**
 * Wraps a schema for libraries that expect Standard Schema. It accepts every value: the service validates, and reports
 * violations.
 */
function standardSchema(schema: JsonObject): AiSdkTool["inputSchema"] {
  return {
    "~standard": {
      version: 1,
      vendor: "jackfield",
      validate: (value) => ({ value }),
      jsonSchema: { input: () => schema, output: () => schema },
    },
  };
}
