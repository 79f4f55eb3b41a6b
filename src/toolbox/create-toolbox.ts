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

/** Where the service is, who asks, and in which conversation. */
export interface ToolboxOptions extends JackfieldClientOptions {
  /**
   * Id of the conversation. Repeats of a model's call are recognised within it, also by another process. Left out, the
   * toolbox makes up one of its own: then repeats are recognised only through this toolbox.
   */
  readonly conversationId?: string;
  /** How long one call may take to be answered, in milliseconds; longer, and the model reads that it is still running. */
  readonly answerWithinMs?: number;
}

/** A tool as the Vercel AI SDK takes it. */
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

/** A tool as OpenAI's Responses API takes it. */
export interface OpenaiFunctionTool {
  type: "function";
  name: string;
  description: string;
  parameters: JsonObject;
  strict: false;
}

/** The declarations of all tools as Google's Gemini API takes them. */
export interface GeminiTool {
  functionDeclarations: { name: string; description: string; parametersJsonSchema: JsonObject }[];
}

/** What a call of `run` may be given beside the model's answer. */
export interface RunOptions {
  /** Ends the wait. Calls that change something go on and are recorded. */
  readonly signal?: AbortSignal;
}

/**
 * The tools of a running service for programs that talk to a model themselves. The model's call id is the key of each
 * call: the same history run again gets the stored answers, and nothing happens twice. A tool's failure is an answer for
 * the model; a failure of the service rejects with a ConnectError.
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
  /** Runs all calls of a model's answer at once. Resolves with the answers, in order, to append to the history. */
  run(answer: OpenaiResponse, options?: RunOptions): Promise<FunctionCallOutput[]>;
  run(answer: ChatCompletion, options?: RunOptions): Promise<ToolMessage[]>;
  run(answer: AnthropicMessage, options?: RunOptions): Promise<ToolResultMessage[]>;
  run(answer: GeminiResponse, options?: RunOptions): Promise<FunctionResponseContent[]>;
}

/** Lists the tools of the service once and makes a toolbox of them. Rejects with a ConnectError. */
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

  // One body for all overloads: the form of the answer decides the form of what comes back.
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

/** Arguments travel as text, so that the service sees them as the model wrote them. */
function argumentsText(args: unknown): string {
  return typeof args === "string" ? args : JSON.stringify(args ?? {});
}

/** A schema that any library takes that reads Standard Schema; the service validates, and says what is wrong. */
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
