import type { Tool } from "../client.ts";

/** Where a command writes. */
export interface Output {
  write(text: string): unknown;
  /** A person looks at it. */
  readonly isTTY?: boolean | undefined;
}

/** What `check` found without listening. */
export interface CheckReport {
  /** Path of the configuration file; undefined where there is none. */
  readonly file: string | undefined;
  /** Where the service would listen, such as `http://127.0.0.1:8080`. */
  readonly url: string;
  readonly tools: readonly {
    readonly name: string;
    readonly effect: string;
    readonly version: string;
    readonly use: string;
  }[];
  /** What the operator should know although the service would start, in whole sentences. */
  readonly notes: readonly string[];
}

/** MCP over lines. */
export interface McpLines {
  receive(line: string): void;
  /** The input has ended: waits for the calls that run, and closes everything. */
  end(): Promise<void>;
}

/** What the command line is given by the process. */
export interface CliHost {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: NodeJS.ReadableStream;
  readonly stdout: Output;
  readonly stderr: Output;
  readonly cwd: string;
  readonly version: string;
  /** Serves until it is told to stop; resolves with the exit code. Rejects with a ConfigError where it cannot start. */
  serve(): Promise<number>;
  /** Serves MCP over lines with the configured tools, without listening. Rejects with a ConfigError where it cannot start. */
  mcp(write: (line: string) => void): Promise<McpLines>;
  /** Loads configuration and plugins without listening. Rejects with a ConfigError where the service would not start. */
  check(): Promise<CheckReport>;
  /** The tools of the configuration, without listening. Rejects as `check` does. */
  tools(): Promise<readonly Tool[]>;
}
