/** One call that a model asked for. */
export interface ModelCall {
  /** The model's id of the call; undefined where the provider gave none. */
  readonly id: string | undefined;
  readonly name: string;
  /** Arguments as the model wrote them: JSON text, or an object. */
  readonly arguments: unknown;
}

/** What a call was answered with. */
export interface CallAnswer {
  readonly call: ModelCall;
  /** What the model should read. */
  readonly output: string;
  readonly isError: boolean;
}

/** An answer of OpenAI's Responses API. */
export interface OpenaiResponse {
  readonly output: readonly object[];
}

/** An answer of OpenAI's Chat Completions API, and of the many APIs that copy it. */
export interface ChatCompletion {
  readonly choices: readonly { readonly message: object }[];
}

/** An answer of Anthropic's Messages API. */
export interface AnthropicMessage {
  readonly role: "assistant";
  readonly content: readonly object[];
}

/** An answer of Google's Gemini API. */
export interface GeminiResponse {
  readonly candidates?: readonly { readonly content?: { readonly parts?: readonly object[] } }[];
}

/** Any answer that the toolbox can read. */
export type ModelAnswer = OpenaiResponse | ChatCompletion | AnthropicMessage | GeminiResponse;

/** Item for the `input` of the next OpenAI response. */
export interface FunctionCallOutput {
  type: "function_call_output";
  call_id: string;
  output: string;
}

/** Message for the next chat completion. */
export interface ToolMessage {
  role: "tool";
  tool_call_id: string;
  content: string;
}

/** Message for the next request to Anthropic: all results in one. */
export interface ToolResultMessage {
  role: "user";
  content: { type: "tool_result"; tool_use_id: string; content: string; is_error: boolean }[];
}

/** Content for the next request to Gemini: all results in one. */
export interface FunctionResponseContent {
  role: "user";
  parts: { functionResponse: { id?: string; name: string; response: { output: string } | { error: string } } }[];
}

/** How the calls of one provider's answer are read, and how their answers are written. */
export interface AnswerFormat {
  readonly calls: readonly ModelCall[];
  write(answers: readonly CallAnswer[]): object[];
}

/** Reads the calls of a model's answer. Throws a TypeError for an answer of no known form. */
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
