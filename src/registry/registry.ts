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

/** A loaded tool, compiled: everything the executor needs, checked and with its defaults filled in. */
export interface CompiledTool {
  readonly name: string;
  /** The tenant that has registered it; undefined for a configured tool, which every tenant has. */
  readonly tenant?: string | undefined;
  /** As callers see it. */
  readonly message: ToolMessage;
  readonly effect: Exclude<Effect, typeof Effect.UNSPECIFIED>;
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly queue: number;
  readonly retry: RetryPolicy | undefined;
  readonly sanitize: SanitizeMode | undefined;
  readonly isolation: Isolation;
  /** Origins of its own configuration. */
  readonly configuredOrigins: ReadonlySet<string>;
  /** Texts that the schema's `enum` and `const` ask for: sanitising leaves them alone. */
  readonly literals: ReadonlySet<string>;
  /** Returns the violations of arguments. */
  readonly validateInput: Validate;
  /** Returns the violations of an output; undefined where no output schema is declared. */
  readonly validateOutput: Validate | undefined;
  readonly run: (args: unknown, context: ExecutionContext) => unknown;
  readonly reconcile: ((call: UnknownCall, context: ExecutionContext) => Promise<Reconciled>) | undefined;
  readonly config: unknown;
  /** What `open` returned. */
  readonly state: unknown;
  /** Why the tool cannot work at present, in words; undefined where it can. Its calls fail at once with it. */
  readonly problem: string | undefined;
  /** The values of its configuration that its schema marks secret. */
  readonly secrets: readonly string[];
  /** The text with every value that the tool's configuration marks secret replaced by `[secret]`. */
  redact(text: string): string;
  /** What the configuration names it by: a package, a path, or the target of a registered tool. */
  readonly use: string;
  readonly bundled: boolean;
  readonly required: boolean;
  /** Milliseconds in which the same conversation and arguments under a new id get the first answer; 0 is off. */
  readonly repeatWindowMs: number;
  /** What proves the tool to its downstreams. */
  readonly credential?: Credential | undefined;
  /** Longest time until a caller gets an answer, in milliseconds. */
  readonly answerWithinMs?: number | undefined;
  /** What the model reads of a failure that the tool has no message for. */
  readonly fallbackMessage?: string | undefined;
  /** Rejects where the tool cannot work at present. */
  ready(): Promise<void>;
  close(): Promise<void>;
}

/**
 * The loaded tools by name: configured ones, which every tenant has, and registered ones, each of which belongs to a tenant.
 * A registered tool never hides a configured one.
 */
export interface Registry {
  /** The tool that a tenant knows by this name. Without a tenant: a configured tool. */
  get(name: string, tenant?: string): CompiledTool | undefined;
  /** The tools that a tenant has, by name. Without a tenant: the configured tools. */
  list(tenant?: string): readonly CompiledTool[];
  /** Adds or replaces a tool, for one tenant or for all. Calls that run keep the tool they started with. */
  put(tool: CompiledTool, tenant?: string): void;
  remove(name: string, tenant?: string): boolean;
  /** Problems of required tools and notes on the others, asked afresh. */
  check(): Promise<{ problems: string[]; notes: string[] }>;
  close(): Promise<void>;
}
