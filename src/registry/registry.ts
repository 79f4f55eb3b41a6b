import type { Tool as ToolMessage } from "../../gen/jackfield/v1/tool_pb.ts";
import type {
  ExecutionContext,
  Isolation,
  Reconciled,
  RetryPolicy,
  SanitizeMode,
  UnknownCall,
} from "../plugin/tool.ts";
import type { Credential } from "../outbound/http.ts";
import type { Validate } from "../schema/compile-schema.ts";
import type { Effect } from "../../gen/jackfield/v1/tool_pb.ts";

/** A loaded and compiled tool: everything that the executor needs, checked and with defaults filled in. */
export interface CompiledTool {
  readonly name: string;
  /** The tenant that registered it. Undefined for a configured tool, which every tenant can use. */
  readonly tenant?: string | undefined;
  /** The tool's description for callers. */
  readonly message: ToolMessage;
  readonly effect: Exclude<Effect, typeof Effect.UNSPECIFIED>;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly queue: number;
  readonly retry: RetryPolicy | undefined;
  readonly sanitize: SanitizeMode | undefined;
  readonly isolation: Isolation;
  /** Origins from its own configuration. */
  readonly configuredOrigins: ReadonlySet<string>;
  /** Texts in the schema's `enum` and `const`, which sanitising does not change. */
  readonly literals: ReadonlySet<string>;
  /** Returns the violations of arguments. */
  readonly validateInput: Validate;
  /** Returns the violations of an output. Undefined if the tool declares no output schema. */
  readonly validateOutput: Validate | undefined;
  readonly run: (args: unknown, context: ExecutionContext) => unknown;
  readonly reconcile: ((call: UnknownCall, context: ExecutionContext) => Promise<Reconciled>) | undefined;
  readonly config: unknown;
  /** The value that `open` returned. */
  readonly state: unknown;
  /** The reason why the tool cannot work at present, with which its calls fail at once. Undefined if it can. */
  readonly problem: string | undefined;
  /** The configuration values that its schema marks secret. */
  readonly secrets: readonly string[];
  /** Replaces every secret configuration value in a text with `[secret]`. */
  redact(text: string): string;
  /** The tool's name in the configuration: a package, a path, or the target of a registered tool. */
  readonly use: string;
  readonly bundled: boolean;
  readonly required: boolean;
  /**
   * Milliseconds in which a call with a new id, but the same conversation and arguments, gets the first answer; 0
   * disables it.
   */
  readonly repeatWindowMs: number;
  /** Authenticates the tool to its downstreams. */
  readonly credential?: Credential | undefined;
  /** Maximum time until a caller gets an answer, in milliseconds. */
  readonly answerWithinMs?: number | undefined;
  /** Message for the model if the tool fails without its own. */
  readonly fallbackMessage?: string | undefined;
  /** Rejects if the tool cannot work at present. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The loaded tools by name: configured ones, which every tenant can use, and registered ones, each owned by a tenant. A
 * registered tool never hides a configured one.
 */
export interface Registry {
  /** Returns a tenant's tool of this name. Without a tenant: a configured tool. */
  get(name: string, tenant?: string): CompiledTool | undefined;
  /** Returns a tenant's tools, sorted by name. Without a tenant: the configured tools. */
  list(tenant?: string): readonly CompiledTool[];
  /** Adds or replaces a tool, for one tenant or for all. Running calls keep the tool that they started with. */
  put(tool: CompiledTool, tenant?: string): void;
  remove(name: string, tenant?: string): boolean;
  /** Checks all tools and returns the problems of required ones and notes on the others. */
  check(): Promise<{ problems: string[]; notes: string[] }>;
  close(): Promise<void>;
}
