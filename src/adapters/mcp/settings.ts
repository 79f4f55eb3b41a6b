import type { AdapterConfiguration } from "../../settings.ts";

/** Settings of MCP. */
export interface McpOwnSettings {
  /** Time in milliseconds after which a call of a client that supports tasks becomes one. */
  readonly taskAfterMs: number;
  /** Number of tools on one page of a list. */
  readonly pageSize: number;
  /** How long a client may cache a list, in milliseconds. */
  readonly listTtlMs: number;
  /** Origins that may call, besides those of this machine. */
  readonly allowedOrigins: readonly string[];
  /** Instructions that clients give their models about the server. Empty for nothing. */
  readonly instructions: string;
}

/** Configuration of MCP. */
export const mcpConfiguration: AdapterConfiguration<McpOwnSettings> = {
  name: "mcp",
  title: "MCP door",
  defaults: { answerWithinMs: 50_000, maxOutput: 65_536 },
  settings: {
    taskAfterMs: {
      type: "integer",
      minimum: 0,
      maximum: 600_000,
      description: "Time in milliseconds after which a call of a client that supports tasks becomes one.",
    },
    pageSize: { type: "integer", minimum: 1, maximum: 1000, description: "Number of tools on one page of a list." },
    listTtlMs: {
      type: "integer",
      minimum: 0,
      maximum: 86_400_000,
      description: "How long a client may cache a list, in milliseconds.",
    },
    allowedOrigins: {
      type: "array",
      format: "origins",
      description: "Origins that may call in addition to this machine's, such as https://app.example.com.",
    },
    instructions: {
      type: "string",
      minLength: 0,
      maxLength: 16_384,
      description: "Instructions that clients give their models about the server.",
    },
  },
  complete: ({ taskAfterMs = 5000, pageSize = 100, listTtlMs = 60_000, allowedOrigins = [], instructions = "" }) => ({
    taskAfterMs,
    pageSize,
    listTtlMs,
    allowedOrigins,
    instructions,
  }),
};
