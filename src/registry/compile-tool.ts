import { inspect } from "node:util";
import { Effect, type ToolAnnotations as ToolAnnotationsMessage } from "../../gen/jackfield/v1/tool_pb.ts";
import type { PluginConfig } from "../config/config.ts";
import type { Effect as EffectName, JsonObject, JsonSchema, Schema, Tool, ToolAnnotations } from "../plugin/tool.ts";
import { textLiterals } from "../json/sanitize.ts";
import { SchemaError } from "../schema/check-schema.ts";
import { type CompileSchema, compileSchema, type Validate } from "../schema/compile-schema.ts";
import { PluginError } from "./plugin-error.ts";
import type { CompiledTool } from "./registry.ts";
import { createRedact, secretsOf } from "./tool-secrets.ts";

/** Default limits of a tool, used if neither its author nor the configuration sets them. */
export const toolDefaults = { timeoutMs: 5000, concurrency: 64, queue: 128 } as const;

/** Configured settings of one tool. They override the tool's own declarations. */
export type ToolSettings = Omit<PluginConfig, "use">;

/** Origin of a tool. */
export interface Origin {
  readonly use: string;
  readonly version: string;
  readonly bundled: boolean;
  /**
   * The reason why the tool cannot work: missing settings that its `configSchema` requires. If set, its configuration
   * is not checked.
   */
  readonly unconfigured?: string | undefined;
}

const effects: Readonly<Record<EffectName, CompiledTool["effect"]>> = {
  read: Effect.READ,
  idempotent: Effect.IDEMPOTENT,
  write: Effect.WRITE,
};

const annotationTypes: ReadonlyMap<string, string> = new Map([
  ["title", "string"],
  ["destructive", "boolean"],
  ["idempotent", "boolean"],
  ["openWorld", "boolean"],
]);

const toolName = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * Compiles a tool: checks everything that can be checked before the first call, and fills in defaults. Throws a
 * PluginError. Pass `compileSchemaOf` to share one schema compiler among many tools.
 */
export function compileTool(
  tool: Tool,
  settings: ToolSettings,
  origin: Origin,
  compileSchemaOf: CompileSchema = compileSchema,
): CompiledTool {
  checkShape(tool);
  const { name } = tool;
  const compile = (what: string, schema: Schema, io: "input" | "output"): [JsonSchema, Validate] => {
    try {
      const json = jsonSchemaOf(schema, io);
      const validate = compileSchemaOf(json);
      if (what === "inputSchema") checkArgumentsType(json);
      return [json, validate];
    } catch (cause) {
      const reason = `${what} cannot be used: ${(cause as Error).message}`;
      throw new PluginError({ code: "bad-schema", tool: name, reason }, { cause });
    }
  };
  const [inputSchema, validateInput] = compile("inputSchema", tool.inputSchema, "input");
  const output = tool.outputSchema === undefined ? undefined : compile("outputSchema", tool.outputSchema, "output");
  const configSchema =
    tool.configSchema === undefined ? undefined : compile("configSchema", tool.configSchema, "input");
  const { unconfigured } = origin;
  if (unconfigured === undefined) checkConfig(name, settings.config, configSchema?.[1]);
  const secrets = secretsOf(settings.config, configSchema?.[0]);
  const effect = effects[tool.effect ?? "write"];
  const timeoutMs = settings.limits.timeoutMs ?? tool.timeoutMs ?? toolDefaults.timeoutMs;
  const { execute, reconcile } = tool;
  return {
    name,
    message: {
      $typeName: "jackfield.v1.Tool",
      name,
      description: tool.description,
      inputSchema: inputSchema as JsonObject,
      ...(output !== undefined && { outputSchema: output[0] as JsonObject }),
      effect,
      timeout: {
        $typeName: "google.protobuf.Duration",
        seconds: BigInt(Math.floor(timeoutMs / 1000)),
        nanos: (timeoutMs % 1000) * 1e6,
      },
      version: origin.version,
      ...(tool.annotations !== undefined && { annotations: annotationsFrom(tool.annotations) }),
    },
    effect,
    timeoutMs,
    concurrency: settings.limits.concurrency ?? tool.limits?.concurrency ?? toolDefaults.concurrency,
    queue: settings.limits.queue ?? tool.limits?.queue ?? toolDefaults.queue,
    retry: settings.retry ?? tool.retry,
    answerWithinMs: settings.answerWithinMs,
    fallbackMessage: settings.fallbackMessage,
    sanitize: settings.sanitize ?? tool.sanitize,
    isolation: settings.isolation ?? tool.isolation ?? "none",
    configuredOrigins: originsOf(settings.config),
    literals: textLiterals(inputSchema),
    validateInput,
    validateOutput: output?.[1],
    run: execute.bind(tool),
    reconcile: reconcile && (async (call, context) => reconcile.call(tool, call, context)),
    config: settings.config,
    state: undefined,
    problem: unconfigured,
    secrets,
    redact: createRedact(secrets),
    use: origin.use,
    bundled: origin.bundled,
    required: settings.required,
    repeatWindowMs: settings.repeatWindowMs ?? 0,
    async ready() {
      if (unconfigured !== undefined) throw new PluginError({ code: "not-open", reason: unconfigured });
    },
    close: async () => {},
  };
}

function checkShape(tool: Tool): void {
  const name = typeof tool.name === "string" && tool.name !== "" ? tool.name : "without a name";
  const refuse = (reason: string): never => {
    throw new PluginError({ code: "bad-definition", tool: name, reason });
  };
  if (!toolName.test(tool.name)) refuse("its name must be 1 to 64 letters, digits, `_` or `-`");
  if (typeof tool.description !== "string" || tool.description === "")
    refuse("it has no description: say what the model gets");
  if (typeof tool.inputSchema !== "object" || tool.inputSchema === null) refuse("it has no inputSchema");
  if (typeof tool.execute !== "function") refuse("it has no execute function");
  if (tool.effect !== undefined && !Object.hasOwn(effects, tool.effect)) {
    refuse(`its effect is ${JSON.stringify(tool.effect)}; read, idempotent or write was expected`);
  }
  for (const [key, value, min, max] of numbersOf(tool)) {
    if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) continue;
    refuse(`its ${key} is ${inspect(value)}; a whole number from ${min} to ${max} was expected`);
  }
  for (const [key, value] of Object.entries(tool.annotations ?? {})) {
    const expected = annotationTypes.get(key);
    if (expected === undefined)
      refuse(`its annotations contain ${key}; known are ${[...annotationTypes.keys()].join(", ")}`);
    else if (value !== undefined && typeof value !== expected) refuse(`its annotation ${key} must be a ${expected}`);
  }
}

/** Throws a SchemaError for a schema that no arguments fit. */
function checkArgumentsType({ type }: JsonSchema): void {
  if (type === undefined || [type].flat().includes("object")) return;
  const found = JSON.stringify(type);
  throw new SchemaError(`its type is ${found}, and arguments are always an object: write "object" or leave it out`);
}

/** Returns the numbers that a tool declares, with their ranges: key, value, minimum and maximum. */
function numbersOf({ timeoutMs, limits, retry }: Tool): [string, number | undefined, number, number][] {
  return [
    ["timeoutMs", timeoutMs, 1, 2 ** 31 - 1],
    ["limits.concurrency", limits?.concurrency, 1, 100_000],
    ["limits.queue", limits?.queue, 0, 1_000_000],
    ["retry.retries", retry?.retries, 0, 100],
    ["retry.baseMs", retry?.baseMs, 1, 86_400_000],
    ["retry.maxMs", retry?.maxMs, 1, 86_400_000],
  ];
}

function annotationsFrom({ title, destructive, idempotent, openWorld }: ToolAnnotations): ToolAnnotationsMessage {
  return {
    $typeName: "jackfield.v1.ToolAnnotations",
    title: title ?? "",
    ...(destructive !== undefined && { destructive }),
    ...(idempotent !== undefined && { idempotent }),
    ...(openWorld !== undefined && { openWorld }),
  };
}

function checkConfig(name: string, config: unknown, validate: Validate | undefined): void {
  const violations = validate?.(config) ?? [];
  if (violations.length === 0) return;
  const list = violations
    .map(({ path, message }) => `${path === "" ? "config" : `config${path}`} ${message}`)
    .join("; ");
  throw new PluginError({ code: "bad-config", tool: name, reason: `its configuration does not fit: ${list}` });
}

/** Returns the JSON Schema of a tool's configuration, if it has a readable one. */
export function schemaOfConfig({ configSchema }: Tool): JsonSchema | undefined {
  try {
    return configSchema === undefined ? undefined : jsonSchemaOf(configSchema, "input");
  } catch {
    // Compiling the tool reports the problem.
    return undefined;
  }
}

/** Returns the JSON Schema of JSON Schema, TypeBox or Standard JSON Schema. Throws a SchemaError. */
export function jsonSchemaOf(schema: Schema, io: "input" | "output"): JsonSchema {
  if (!("~standard" in schema)) return schema as JsonSchema;
  const standard = schema["~standard"] as {
    jsonSchema?: Record<"input" | "output", (options: { target: string }) => JsonSchema>;
  };
  if (standard.jsonSchema === undefined) {
    throw new SchemaError("it provides no JSON Schema: use Zod 4.2 or later, TypeBox or JSON Schema");
  }
  return standard.jsonSchema[io]({ target: "draft-07" });
}

/** Returns the origins of all URLs in a tool's own configuration, which it may reach even if they are private. */
function originsOf(config: unknown, found = new Set<string>()): ReadonlySet<string> {
  if (typeof config === "string" && /^https?:\/\//i.test(config) && URL.canParse(config))
    found.add(new URL(config).origin);
  if (typeof config === "object" && config !== null) for (const value of Object.values(config)) originsOf(value, found);
  return found;
}
