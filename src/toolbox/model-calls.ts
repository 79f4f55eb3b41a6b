/** One call in a model's answer. */
export interface ModelCall {
  /** The model's id of the call. Undefined when the provider gave none. */
  readonly id: string | undefined;
  readonly name: string;
  /** Arguments as the model wrote them: JSON text or an object. */
  readonly arguments: unknown;
}

/** The answer to a call. */
export interface CallAnswer {
  readonly call: ModelCall;
  /** The output for the model. */
  readonly output: string;
  readonly isError: boolean;
}

/** A response of OpenAI's Responses API. */
export interface OpenaiResponse {
  readonly output: readonly object[];
}

/** A response of OpenAI's Chat Completions API, or of an API compatible with it. */
export interface ChatCompletion {
  readonly choices: readonly { readonly message: object }[];
}

/** A response of Anthropic's Messages API. */
export interface AnthropicMessage {
  readonly role: "assistant";
  readonly content: readonly object[];
}

/** A response of Google's Gemini API. */
export interface GeminiResponse {
  readonly candidates?: readonly { readonly content?: { readonly parts?: readonly object[] } }[];
}

/** Any response that the toolbox understands. */
export type ModelAnswer = OpenaiResponse | ChatCompletion | AnthropicMessage | GeminiResponse;

/** An item for the `input` of the next request to OpenAI's Responses API. */
export interface FunctionCallOutput {
  type: "function_call_output";
  call_id: string;
  output: string;
}

/** A message for the next chat completion request. */
export interface ToolMessage {
  role: "tool";
  tool_call_id: string;
  content: string;
}

/** A message for the next request to Anthropic. It holds all results. */
export interface ToolResultMessage {
  role: "user";
  content: { type: "tool_result"; tool_use_id: string; content: string; is_error: boolean }[];
}

/** Content for the next request to Gemini. It holds all results. */
export interface FunctionResponseContent {
  role: "user";
  parts: { functionResponse: { id?: string; name: string; response: { output: string } | { error: string } } }[];
}

/** Reads the calls in one provider's responses and writes the answers. */
export interface AnswerFormat {
  readonly calls: readonly ModelCall[];
  write(answers: readonly CallAnswer[]): object[];
}

/** Returns the format of a model's response. Throws a TypeError for an unknown format. */
export function formatOf(answer: ModelAnswer): AnswerFormat {
  if ("output" in answer && Array.isArray(answer.output)) return openaiFormat(answer);
  if ("choices" in answer && Array.isArray(answer.choices)) return chatFormat(answer);
  if ("content" in answer && Array.isArray(answer.content)) return anthropicFormat(answer);
  if ("candidates" in answer) return geminiFormat(answer);
  throw new TypeError(
    "Expected the answer of a model: an OpenAI response or chat completion, an Anthropic message or a Gemini response.",
  );
}

function openaiFormat({ output }: OpenaiResponse): AnswerFormat {
  const items = output as readonly { type?: unknown; call_id?: unknown; name?: unknown; arguments?: unknown }[];
  return {
    calls: items
      .filter(({ type }) => type === "function_call")
      .map((item) => ({ id: textOf(item.call_id), name: String(item.name), arguments: item.arguments })),
    write: (answers) =>
      answers.map(({ call, output: text }): FunctionCallOutput => {
        return { type: "function_call_output", call_id: call.id ?? "", output: text };
      }),
  };
}

interface ChatToolCall {
  readonly id?: unknown;
  readonly function?: { readonly name?: unknown; readonly arguments?: unknown };
}

function chatFormat({ choices }: ChatCompletion): AnswerFormat {
  const message: { tool_calls?: readonly ChatToolCall[] | null } | undefined = choices[0]?.message;
  return {
    calls: (message?.tool_calls ?? []).flatMap(({ id, function: called }) =>
      called === undefined ? [] : [{ id: textOf(id), name: String(called.name), arguments: called.arguments }],
    ),
    write: (answers) =>
      answers.map(({ call, output }): ToolMessage => ({ role: "tool", tool_call_id: call.id ?? "", content: output })),
  };
}

function anthropicFormat({ content }: AnthropicMessage): AnswerFormat {
  const blocks = content as readonly { type?: unknown; id?: unknown; name?: unknown; input?: unknown }[];
  return {
    calls: blocks
      .filter(({ type }) => type === "tool_use")
      .map((block) => ({ id: textOf(block.id), name: String(block.name), arguments: block.input })),
    write(answers): ToolResultMessage[] {
      if (answers.length === 0) return [];
      const results = answers.map(({ call, output, isError }): ToolResultMessage["content"][number] => {
        return { type: "tool_result", tool_use_id: call.id ?? "", content: output, is_error: isError };
      });
      return [{ role: "user", content: results }];
    },
  };
}

function geminiFormat({ candidates }: GeminiResponse): AnswerFormat {
  const parts = (candidates?.[0]?.content?.parts ?? []) as readonly {
    functionCall?: { id?: unknown; name?: unknown; args?: unknown };
  }[];
  return {
    calls: parts.flatMap(({ functionCall: called }) =>
      called === undefined ? [] : [{ id: textOf(called.id), name: String(called.name), arguments: called.args ?? {} }],
    ),
    write(answers): FunctionResponseContent[] {
      if (answers.length === 0) return [];
      const responses = answers.map(({ call, output, isError }): FunctionResponseContent["parts"][number] => ({
        functionResponse: {
          ...(call.id !== undefined && { id: call.id }),
          name: call.name,
          response: isError ? { error: output } : { output },
        },
      }));
      return [{ role: "user", parts: responses }];
    },
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
