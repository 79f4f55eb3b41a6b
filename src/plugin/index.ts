export { defineTool } from "./define-tool.ts";
export { HttpError, isHttpError } from "./http-error.ts";
export { path } from "./path.ts";
export { isToolError, ToolError } from "./tool-error.ts";
export type {
  Effect,
  ExecutionContext,
  HttpRequest,
  HttpResponse,
  Infer,
  Isolation,
  Json,
  JsonObject,
  JsonSchema,
  Reconciled,
  RetryPolicy,
  SanitizeMode,
  Schema,
  StandardJsonSchema,
  Tool,
  ToolAnnotations,
  ToolDefinition,
  ToolHttp,
  ToolLimits,
  ToolLog,
  TypeBoxSchema,
  UnknownCall,
} from "./tool.ts";
