export {
  type AiSdkTool,
  createToolbox,
  type GeminiTool,
  type OpenaiFunctionTool,
  type RunOptions,
  type Toolbox,
  type ToolboxOptions,
} from "./create-toolbox.ts";
export type {
  AnthropicMessage,
  ChatCompletion,
  FunctionCallOutput,
  FunctionResponseContent,
  GeminiResponse,
  ModelAnswer,
  OpenaiResponse,
  ToolMessage,
  ToolResultMessage,
} from "./model-calls.ts";
