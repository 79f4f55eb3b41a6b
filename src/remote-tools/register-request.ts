import { Effect, type Tool as ToolMessage } from "../../gen/jackfield/v1/tool_pb.ts";
import { reservedArguments } from "../definitions/reserved-arguments.ts";
import type { Effect as EffectName, SanitizeMode, Tool } from "../plugin/tool.ts";
import { checkSchema, SchemaError } from "../schema/check-schema.ts";
import type { CompileSchema } from "../schema/compile-schema.ts";
import { compileTool, type ToolSettings } from "../registry/compile-tool.ts";
import { PluginError } from "../registry/plugin-error.ts";
import type { CompiledTool } from "../registry/registry.ts";
import type { TargetBinding, Target } from "./target.ts";
import { TargetError } from "./target.ts";
import { createRedact } from "../registry/tool-secrets.ts";
import { visibleText } from "../json/visible-text.ts";
import { visibleSchema } from "../schema/visible-schema.ts";

/** Maximum length of a description in characters: every model to which the tool is offered pays for it. */
const maxDescription = 16_384;

const settings: ToolSettings = {
  config: {},
  secretPaths: [],
  limits: {},
  sanitize: undefined,
  isolation: undefined,
  required: false,
  repeatWindowMs: undefined,
};

const effectNames: Readonly<Record<number, EffectName>> = {
  [Effect.READ]: "read",
  [Effect.IDEMPOTENT]: "idempotent",
  [Effect.WRITE]: "write",
};

/** Completes a registration with the target's own description of its tool. */
export async function completeTool(tool: ToolMessage, target: Target): Promise<ToolMessage> {
  const isIncomplete = tool.description === "" || tool.inputSchema === undefined;
  if (!isIncomplete && tool.effect !== Effect.UNSPECIFIED) return tool;
  const described = await target.describe().catch((reason: unknown) => {
    if (isIncomplete) throw reason;
    // Only the effect is missing: then it is a write.
  });
  if (described === undefined) return tool;
  const timeout = tool.timeout ?? described.timeout;
  const inputSchema = tool.inputSchema ?? described.inputSchema;
  const outputSchema = tool.outputSchema ?? described.outputSchema;
  return {
    ...tool,
    description: tool.description || described.description,
    effect: tool.effect || described.effect,
    version: tool.version || described.version,
    ...(timeout !== undefined && { timeout }),
    ...(inputSchema !== undefined && { inputSchema }),
    ...(outputSchema !== undefined && { outputSchema }),
  };
}

/**
 * Removes invisible characters from the texts that a model reads. Throws a SchemaError, or a PluginError for arguments
 * that would never reach the tool.
 */
export function visibleTool(tool: ToolMessage): ToolMessage {
  // Checked before anything traverses it: it may be nested without limit.
  for (const schema of [tool.inputSchema, tool.outputSchema]) if (schema !== undefined) checkSchema(schema);
  const reserved = reservedArguments(tool);
  if (reserved.length > 0) throw new PluginError({ code: "bad-definition", reason: reserved.join(" ") });
  return {
    ...tool,
    description: visibleText(tool.description),
    version: visibleText(tool.version),
    ...(tool.inputSchema !== undefined && { inputSchema: visibleSchema(tool.inputSchema) }),
    ...(tool.outputSchema !== undefined && { outputSchema: visibleSchema(tool.outputSchema) }),
  };
}

const sanitizeModes: ReadonlyMap<string, SanitizeMode | undefined> = new Map([
  ["", undefined],
  ["strict", "strict"],
  ["text", "text"],
  ["off", "off"],
]);

/** Compiles a registered tool. Throws a PluginError. */
export function compileRegistered(
  { tool, sanitize, tenant }: { readonly tool: ToolMessage; readonly sanitize: string; readonly tenant: string },
  target: Target,
  compileSchema: CompileSchema,
): CompiledTool {
  if (!sanitizeModes.has(sanitize)) {
    throw new PluginError({
      code: "bad-definition",
      reason: `sanitize must be strict, text or off, found ${JSON.stringify(sanitize.slice(0, 64))}`,
    });
  }
  if (tool.description.length > maxDescription) {
    throw new PluginError({
      code: "bad-definition",
      reason: `its description is longer than ${maxDescription} characters`,
    });
  }
  const { timeout } = tool;
  const effect = effectNames[tool.effect] ?? "write";
  const definition: Partial<Tool> = {
    apiVersion: 1,
    name: tool.name,
    description: tool.description,
    effect,
    ...(tool.inputSchema !== undefined && { inputSchema: tool.inputSchema }),
    ...(tool.outputSchema !== undefined && { outputSchema: tool.outputSchema }),
    ...(timeout !== undefined && { timeoutMs: Math.ceil(Number(timeout.seconds) * 1000 + timeout.nanos / 1e6) }),
    execute: (args, context) => target.run(args, context, binding),
  };
  const compiled = compileTool(
    definition as Tool,
    { ...settings, sanitize: sanitizeModes.get(sanitize) },
    { use: target.label, version: tool.version, bundled: false },
    compileSchema,
  );
  const binding: TargetBinding = { name: tool.name, effect, timeoutMs: compiled.timeoutMs };
  const { secrets } = target;
  return { ...compiled, tenant, secrets, redact: createRedact(secrets), close: async () => target.release() };
}

/** Describes the problem of a registration; undefined if the error has another cause. */
export function registrationProblem(reason: unknown): string | undefined {
  if (reason instanceof SchemaError) return `a schema cannot be used: ${reason.message}`;
  if (reason instanceof PluginError) return reason.reason;
  return reason instanceof TargetError ? reason.message : undefined;
}
