import type { Tool } from "../client.ts";

/** An output stream of a command. */
export interface Output {
  write(text: string): unknown;
  /** True for a terminal. */
  readonly isTTY?: boolean | undefined;
}

/** The result of `check`. */
export interface CheckReport {
  /** Path of the configuration file. Undefined if there is none. */
  readonly file: string | undefined;
  /** Address on which the service would listen, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly tools: readonly {
    readonly name: string;
    readonly effect: string;
    readonly version: string;
    readonly use: string;
  }[];
  /** Findings for the operator that do not prevent the start, in whole sentences. */
  readonly notes: readonly string[];
}

/** An MCP server over newline-delimited messages. */
export interface McpLines {
  receive(line: string): void;
  /** Handles the end of the input: waits for running calls, then closes everything. */
  end(): Promise<void>;
}

/** The process, as seen by the command line. */
export interface CliHost {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly cwd: string;
  readonly version: string;
  /**
   * Serves until a signal ends it, and resolves with the exit code. Rejects with a ConfigError if the service cannot
   * start.
   */
  serve(): Promise<number>;
  /**
   * Serves the configured tools over newline-delimited MCP, without listening. Rejects with a ConfigError if it cannot
   * start.
   */
  mcp(write: (line: string) => void): Promise<McpLines>;
  /** Loads configuration and plugins without listening. Rejects with a ConfigError if the service could not start. */
  check(): Promise<CheckReport>;
  /** Returns the configured tools, without listening. Rejects like `check`. */
  tools(): Promise<readonly Tool[]>;
  /** Returns where the service writes its audit log: a path, or `-` for stderr. Throws a ConfigError. */
  auditFile(): string;
}
