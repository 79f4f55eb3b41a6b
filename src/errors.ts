import { Code, ConnectError } from "@connectrpc/connect";

/** Error messages for the model, by id. `{}` marks the position of details. docs/errors.md describes each line. */
export const modelErrors = {
  "unknown-tool": "Unknown tool: {}",
  "arguments-not-json": "Invalid JSON in arguments for {}",
  conflict: "This call id was already used with other arguments.",
  uncertain: "It is not known whether this request took effect. Do not repeat it; check first.",
  failed: "Tool execution failed or timed out.",
  "not-executed": "Tool execution timed out or failed. Please retry.",
  "pending-read": "Tool execution timed out or failed. Please retry.",
  "pending-write": "The request is still being processed. Do not repeat it.",
  overloaded: "This tool is busy. Try again in {} seconds.",
  denied: "This caller may not use the tool {}.",
  cancelled: "The request was cancelled.",
  "invalid-output": "The tool's answer was not what it promises.",
  "not-serializable": "Result could not be serialized to JSON or string.",
  "tool-not-ready": "The tool {} cannot work at present.",
} as const;

/** Id of an error message for the model. */
export type ModelErrorId = keyof typeof modelErrors;

/** Returns an error message for the model with its detail filled in. */
export function modelError(id: ModelErrorId, detail: string | number = ""): string {
  return modelErrors[id].replace("{}", () => String(detail));
}

/** Errors for the caller's engineer, by id: Connect code and message. docs/errors.md describes each line. */
export const rpcErrors = {
  "malformed-message": [Code.InvalidArgument, "{}"],
  "id-too-long": [Code.InvalidArgument, "{} must have at most 256 characters"],
  "invalid-request": [Code.InvalidArgument, "{}"],
  unauthenticated: [Code.Unauthenticated, "a valid key is needed: send `Authorization: Bearer KEY`"],
  "rate-exceeded": [Code.ResourceExhausted, "this caller sends too many requests: try again in {} s"],
  "scope-missing": [Code.PermissionDenied, "this caller lacks the scope {}"],
  "call-not-found": [Code.NotFound, "no call {} is known in this context"],
  "job-not-found": [Code.NotFound, "no job {} is known"],
  "job-id-taken": [Code.AlreadyExists, "the id {} belongs to another job"],
  "job-id-reserved": [
    Code.InvalidArgument,
    "the id {} begins like one that is derived from a batch: choose another one, or leave it out",
  ],
  "tool-not-found": [Code.NotFound, "no registered tool {}"],
  "tool-name-taken": [Code.AlreadyExists, "the name {} belongs to a configured plugin"],
  "job-wrong-state": [Code.FailedPrecondition, "{}"],
  "message-too-large": [Code.ResourceExhausted, "{}"],
  "too-many-calls": [Code.InvalidArgument, "a request may hold at most {} calls"],
  draining: [Code.Unavailable, "the service is shutting down"],
  "store-unavailable": [Code.Unavailable, "the store cannot be reached; nothing has been executed"],
  deadline: [Code.DeadlineExceeded, "the caller's deadline has passed"],
  canceled: [Code.Canceled, "the caller has gone away"],
  unimplemented: [Code.Unimplemented, "{} is not implemented"],
  "gateway-failed": [Code.Unavailable, "the LLM gateway {}"],
  "gateway-busy": [Code.ResourceExhausted, "Rate limit exceeded after retries"],
  internal: [Code.Internal, "internal error"],
} as const satisfies Record<string, readonly [Code, string]>;

/** Id of an error for the caller's engineer. */
export type RpcErrorId = keyof typeof rpcErrors;

/** Creates an error for the caller's engineer. `cause` is for the log and never leaves the process. */
export function rpcError(id: RpcErrorId, detail = "", cause?: unknown): ConnectError {
  const [code, text] = rpcErrors[id];
  return new ConnectError(
    text.replace("{}", () => detail),
    code,
    undefined,
    undefined,
    cause,
  );
}
