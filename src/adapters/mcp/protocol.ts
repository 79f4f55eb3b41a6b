/** The revision without sessions: each request contains its version and its client's capabilities. */
export const modernVersion = "2026-07-28";

/** The revisions with a handshake, newest first. They are served without sessions. */
export const olderVersions: readonly string[] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/** All supported revisions, newest first. */
export const supportedVersions: readonly string[] = [modernVersion, ...olderVersions];

/** Keys of `_meta` and of extensions that the protocol defines. */
export const reserved = {
  protocolVersion: "io.modelcontextprotocol/protocolVersion",
  clientCapabilities: "io.modelcontextprotocol/clientCapabilities",
  serverInfo: "io.modelcontextprotocol/serverInfo",
  subscriptionId: "io.modelcontextprotocol/subscriptionId",
  tasks: "io.modelcontextprotocol/tasks",
} as const;

/** Keys of `_meta` that are Jackfield's own. */
export const own = {
  idempotencyKey: "jackfield/idempotencyKey",
  conversationId: "jackfield/conversationId",
  callId: "jackfield/callId",
  outcome: "jackfield/outcome",
  replayed: "jackfield/replayed",
} as const;

/** Error codes of JSON-RPC and of MCP. */
export const codes = {
  parseError: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  invalidParams: -32602,
  internal: -32603,
  headerMismatch: -32020,
  missingCapability: -32021,
  unsupportedVersion: -32022,
} as const;

/** Id of a JSON-RPC request. */
export type RequestId = string | number;

/** Thrown for a request that is answered with a JSON-RPC error. `status` is that of the HTTP response. */
export class McpError extends Error {
  override readonly name = "McpError";
  readonly status: number;
  readonly code: number;
  readonly data: object | undefined;
  /** HTTP headers of the response. */
  readonly headers: Readonly<Record<string, string>> | undefined;

  constructor(
    code: number,
    message: string,
    { status = 200, data, headers }: { status?: number; data?: object; headers?: Record<string, string> } = {},
  ) {
    super(message);
    this.code = code;
    this.status = status;
    this.data = data;
    this.headers = headers;
  }
}

/** Returns the text of a JSON-RPC error. It has no id if none could be read. */
export function errorText(id: RequestId | undefined, code: number, message: string, data?: object): string {
  return JSON.stringify({
    jsonrpc: "2.0",
    ...(id !== undefined && { id }),
    error: { code, message, ...(data !== undefined && { data }) },
  });
}

/** Returns the text of a JSON-RPC result. `result` is JSON text. */
export function resultText(id: RequestId, result: string): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":${result}}`;
}

/** Returns the text of a JSON-RPC notification. */
export function notificationText(method: string, params: object): string {
  return JSON.stringify({ jsonrpc: "2.0", method, params });
}
