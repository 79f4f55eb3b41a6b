import type { Tool as ToolMessage } from "../../gen/jackfield/v1/tool_pb.ts";
import type { RegisterToolRequest, ToolTarget } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import type { Caller } from "../auth/caller.ts";
import { rpcError } from "../errors.ts";
import type { AddressGuard } from "../outbound/address-guard.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { createLazyCompiler, createSchemaCompiler } from "../schema/compile-schema.ts";
import { createGrpcSessions } from "./grpc-sessions.ts";
import { createGrpcTarget } from "./grpc-target.ts";
import { createHttpTarget } from "./http-target.ts";
import {
  compileRegistered,
  completeTool,
  faultOf,
  requestFromText,
  textFromRequest,
  visibleTool,
} from "./register-request.ts";
import type { RegisteredTool, RegisteredTools } from "./registered-tools.ts";
import type { CompiledTool, Registry } from "../registry/registry.ts";
import type { Target } from "./target.ts";
import { TargetError } from "./target.ts";

/** What remote tools are made with. */
export interface RemoteToolsParts {
  readonly registry: Registry;
  readonly store: RegisteredTools;
  /** Decides which addresses targets may have. */
  readonly guard: AddressGuard;
  readonly telemetry: Pick<Telemetry, "log" | "audit" | "hide" | "inject">;
  /** Pause between two looks for what other replicas have registered, in milliseconds; 1000 by default. */
  readonly pollMs?: number;
  /** Longest message that a gRPC target may answer, in bytes; 2 MiB by default. */
  readonly readMaxBytes?: number;
  /** From 0 to 1; chance by default. */
  readonly random?: () => number;
}

/** Tools that are registered while the service runs, kept over restarts and on all replicas. */
export interface RunningRemoteTools {
  /** Offers a tool, or replaces one registered before. Rejects with a ConnectError. */
  register(request: RegisterToolRequest, caller: Caller): Promise<ToolMessage>;
  /** Withdraws a registered tool; false where there is none. */
  unregister(name: string): Promise<boolean>;
  /** Loads what is stored, and from then on looks for changes. Resolves also where the store cannot be read yet. */
  start(): Promise<void>;
  /** Stored tools that cannot be offered, for readiness. */
  check(): Promise<{ faults: string[]; notes: string[] }>;
  close(): Promise<void>;
}

/** What this process made of one stored tool: the tool, or why there is none. */
interface LoadedRemoteTool {
  readonly text: string;
  readonly tool: CompiledTool | undefined;
  readonly note: string | undefined;
}

/** Tools compiled in one go while loading, before calls get their turn. */
const compiledAtOnce = 100;

/** Creates the registration of remote tools. */
export function createRemoteTools(parts: RemoteToolsParts): RunningRemoteTools {
  const { registry, store, guard, telemetry, pollMs = 1000, readMaxBytes = 2_097_152, random = Math.random } = parts;
  const { log } = telemetry;
  const sessions = createGrpcSessions(guard);
  const compileSchema = createSchemaCompiler();
  // What is stored has been compiled when it was registered: thousands of them must not hold up the start.
  const compileLater = createLazyCompiler(compileSchema);
  const loaded = new Map<string, LoadedRemoteTool>();
  const hidden = new Set<string>();
  let version: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let away = false;
  let last: Promise<unknown> = Promise.resolve();

  /** One change after the other: a look that began before a registration must not undo it. */
  function exclusive<T>(run: () => Promise<T>): Promise<T> {
    const next = last.then(run);
    last = next.catch(() => {});
    return next;
  }

  function targetOf({ target }: ToolTarget): Target {
    if (target.case === "http") return createHttpTarget(target.value, guard);
    if (target.case === "grpc")
      return createGrpcTarget(target.value, { guard, sessions, telemetry, readMaxBytes, random });
    throw new TargetError("target must name http or grpc");
  }

  function hide(target: Target): void {
    for (const secret of target.secrets) {
      if (hidden.has(secret)) continue;
      hidden.add(secret);
      telemetry.hide(secret);
    }
  }

  /** True for a tool that was not registered: it stays as it is. */
  const isConfigured = (name: string): boolean =>
    registry.get(name) !== undefined && loaded.get(name)?.tool === undefined;

  function swap(name: string, next: LoadedRemoteTool | undefined): void {
    const before = loaded.get(name)?.tool;
    if (next === undefined) loaded.delete(name);
    else loaded.set(name, next);
    if (next?.tool !== undefined) registry.put(next.tool);
    else if (before !== undefined) registry.remove(name);
    // Calls that run keep what they started with: it is closed when the last of them has ended.
    void before?.close();
  }

  function load({ name, text }: RegisteredTool): LoadedRemoteTool {
    if (isConfigured(name)) return { text, tool: undefined, note: "a configured plugin has its name" };
    let target: Target | undefined;
    try {
      const request = requestFromText(text);
      if (request.tool === undefined || request.target === undefined)
        throw new TargetError("what is stored of it is not whole");
      target = targetOf(request.target);
      const { tool: message, sanitize } = request;
      const tool = compileRegistered({ tool: message, sanitize }, target, compileLater);
      hide(target);
      return { text, tool, note: undefined };
    } catch (reason) {
      target?.release();
      return { text, tool: undefined, note: faultOf(reason, name) ?? "it cannot be loaded" };
    }
  }

  async function refresh(): Promise<void> {
    const state = await store.load(version);
    if (state === undefined) return;
    const stored = new Set<string>();
    let compiled = 0;
    for (const one of state.tools) {
      stored.add(one.name);
      if (loaded.get(one.name)?.text === one.text) continue;
      const next = load(one);
      swap(one.name, next);
      if (next.note !== undefined)
        log.warn({ tool: one.name, fault: next.note }, "a registered tool cannot be offered");
      if (++compiled % compiledAtOnce === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    for (const name of loaded.keys()) if (!stored.has(name)) swap(name, undefined);
    version = state.version;
  }

  async function look(): Promise<void> {
    try {
      await exclusive(refresh);
      away = false;
    } catch (cause) {
      if (!away && !closed) log.warn({ err: cause }, "registered tools cannot be read at present");
      away = true;
    }
    if (closed || (!store.shared && !away)) return;
    timer = setTimeout(() => void look(), pollMs);
    timer.unref();
  }

  async function stored<T>(ask: Promise<T>): Promise<T> {
    try {
      return await ask;
    } catch (cause) {
      throw rpcError("store-unavailable", "", cause);
    }
  }

  return {
    async register({ tool: given, target: to, sanitize, $typeName }, caller) {
      if (given === undefined) throw rpcError("invalid-request", "tool must be set");
      if (to === undefined) throw rpcError("invalid-request", "target must be set");
      const { name } = given;
      if (isConfigured(name)) throw rpcError("tool-name-taken", name);
      let target: Target | undefined;
      try {
        target = targetOf(to);
        hide(target);
        const complete = await completeTool(given, target);
        const message = visibleTool(complete);
        const tool = compileRegistered({ tool: message, sanitize }, target, compileSchema);
        const text = textFromRequest({ $typeName, tool: message, target: to, sanitize });
        await exclusive(async () => {
          if (isConfigured(name)) throw rpcError("tool-name-taken", name);
          await stored(store.save({ name, text }));
          swap(name, { text, tool, note: undefined });
        });
        if (JSON.stringify(jsonOf(complete)) !== JSON.stringify(jsonOf(message))) {
          log.warn(
            { tool: name, caller: caller.name },
            "invisible characters were taken out of the texts of a registered tool",
          );
        }
        log.info({ tool: name, caller: caller.name, target: target.words }, "a tool was registered");
        record("tool_registered", name, caller);
        return tool.message;
      } catch (reason) {
        target?.release();
        const fault = faultOf(reason, name);
        throw fault === undefined ? reason : rpcError("invalid-request", fault, reason);
      }
    },

    async unregister(name) {
      const found = await exclusive(async () => {
        if (store.shared) await stored(refresh());
        if (!loaded.has(name)) return false;
        await stored(store.remove(name));
        swap(name, undefined);
        return true;
      });
      if (found) log.info({ tool: name }, "a registered tool was withdrawn");
      return found;
    },

    start: look,

    async check() {
      const notes = [...loaded].flatMap(([name, { note }]) => (note === undefined ? [] : [`tool ${name}: ${note}`]));
      return { faults: [], notes: notes.sort() };
    },

    async close() {
      closed = true;
      clearTimeout(timer);
      await last;
      sessions.close();
      await store.close();
    },
  };

  function record(event: string, name: string, { name: caller, tenant }: Caller): void {
    telemetry.audit.write({ event, time: new Date().toISOString(), caller, tenant, tool_name: name });
  }
}

/** What a model reads of a tool. */
function jsonOf({ description, inputSchema, outputSchema }: ToolMessage): unknown[] {
  return [description.trim(), inputSchema, outputSchema];
}
