import type { Tool as ToolMessage } from "../../gen/jackfield/v1/tool_pb.ts";
import type { RegisterToolRequest, ToolTarget } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import type { Caller } from "../auth/caller.ts";
import { rpcError } from "../errors.ts";
import type { Trust } from "../outbound/trust.ts";
import type { AddressGuard } from "../outbound/address-guard.ts";
import type { Registry } from "../registry/registry.ts";
import { createLazyCompiler, createSchemaCompiler } from "../schema/compile-schema.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { plainSealer, type Sealer } from "../store/sealer.ts";
import { createTrialCompiler } from "../schema/trial-compiler.ts";
import { createGrpcSessions } from "./grpc-sessions.ts";
import { createGrpcTarget } from "./grpc-target.ts";
import { createHttpTarget } from "./http-target.ts";
import { createLoadedTools, type LoadedTool } from "./loaded-tools.ts";
import { compileRegistered, completeTool, registrationProblem, visibleTool } from "./register-request.ts";
import type { RegisteredTool, RegisteredTools } from "./registered-tools.ts";
import {
  parseRegistrationKey,
  registrationFromStored,
  registrationKey,
  resealRegistrations,
  storedRegistration,
} from "./registration.ts";
import { type Target, TargetError } from "./target.ts";

/** Dependencies of the registration of remote tools. */
export interface RemoteToolsParts {
  readonly registry: Registry;
  readonly store: RegisteredTools;
  /** Seals stored tools, including their targets' headers. By default they are plain. */
  readonly sealer?: Sealer;
  /** Decides which addresses targets may have. */
  readonly guard: AddressGuard;
  /** Certificates for connections to gRPC targets; Node's by default. */
  readonly trust?: Trust;
  /** Called when a TLS connection to a gRPC target fails, with a hint for the operator. */
  readonly onTlsProblem?: (origin: string, problem: string) => void;
  readonly telemetry: Pick<Telemetry, "log" | "audit" | "inject" | "begin">;
  /** Interval between polls for other replicas' registrations, in milliseconds; 1000 by default. */
  readonly pollMs?: number;
  /** Maximum size of a gRPC target's response message, in bytes; 2 MiB by default. */
  readonly readMaxBytes?: number;
  /** Random number from 0 to 1; `Math.random` by default. */
  readonly random?: () => number;
}

/**
 * Tools that are registered while the service runs. Each belongs to a tenant, survives restarts, and is available on
 * all replicas.
 */
export interface RunningRemoteTools {
  /**
   * Registers a tool for the caller's tenant, or replaces the tenant's tool of this name. Rejects with a ConnectError.
   */
  register(request: RegisterToolRequest, caller: Caller): Promise<ToolMessage>;
  /** Removes a registered tool of the caller's tenant. Resolves with false if there is none. */
  unregister(name: string, caller: Caller): Promise<boolean>;
  /** Loads the stored tools and starts polling for changes. Resolves even if the store is unreadable at present. */
  start(): Promise<void>;
  /** Reports stored tools that cannot be offered, for readiness. */
  check(): Promise<{ problems: string[]; notes: string[] }>;
  close(): Promise<void>;
}

/** Number of tools compiled in one go while loading, before calls get their turn. */
const compiledPerTurn = 100;

/** Creates the registration of remote tools. */
export function createRemoteTools(parts: RemoteToolsParts): RunningRemoteTools {
  const { registry, store, guard, telemetry, sealer = plainSealer, random = Math.random } = parts;
  const { pollMs = 1000, readMaxBytes = 2_097_152, onTlsProblem } = parts;
  const { log, audit } = telemetry;
  const sessions = createGrpcSessions(guard, parts.trust);
  const compileSchema = createSchemaCompiler();
  const trial = createTrialCompiler();
  // Stored tools were compiled when they were registered, so thousands of them need not delay the start.
  const compileLater = createLazyCompiler(compileSchema);
  const loaded = createLoadedTools(registry);
  let version: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  let storeAway = false;
  let last: Promise<unknown> = Promise.resolve();

  /** Runs changes one after the other: a refresh that started before a registration must not undo it. */
  function exclusive<T>(run: () => Promise<T>): Promise<T> {
    const next = last.then(run);
    last = next.catch(() => {});
    return next;
  }

  function targetOf({ target }: ToolTarget): Target {
    if (target.case === "http") return createHttpTarget(target.value, guard);
    if (target.case === "grpc")
      return createGrpcTarget(target.value, { guard, sessions, telemetry, readMaxBytes, random, onTlsProblem });
    throw new TargetError("target must name http or grpc");
  }

  function load(stored: RegisteredTool): LoadedTool {
    const { text } = stored;
    const { tenant, name } = parseRegistrationKey(stored.key);
    let target: Target | undefined;
    try {
      if (registry.get(name) !== undefined) throw new TargetError("a configured plugin has its name");
      const { tool: message, target: to, sanitize } = registrationFromStored(stored, sealer).request;
      if (message === undefined || to === undefined) throw new TargetError("its stored registration is incomplete");
      target = targetOf(to);
      const tool = compileRegistered({ tool: message, sanitize, tenant }, target, compileLater);
      return { text, tool, note: undefined };
    } catch (reason) {
      target?.release();
      return { text, tool: undefined, note: registrationProblem(reason) ?? "it cannot be loaded" };
    }
  }

  async function refresh(): Promise<void> {
    const state = await store.load(version);
    if (state === undefined) return;
    const keys = new Set<string>();
    let compiled = 0;
    for (const stored of state.tools) {
      keys.add(stored.key);
      if (loaded.get(stored.key)?.text === stored.text) continue;
      const next = load(stored);
      loaded.swap(stored.key, next);
      if (next.note !== undefined)
        log.warn({ ...parseRegistrationKey(stored.key), problem: next.note }, "a registered tool cannot be loaded");
      if (++compiled % compiledPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    for (const key of loaded.keys()) if (!keys.has(key)) loaded.swap(key, undefined);
    version = state.version;
  }

  async function poll(): Promise<void> {
    try {
      await exclusive(refresh);
      storeAway = false;
    } catch (cause) {
      if (!storeAway && !closed) log.warn({ err: cause }, "registered tools cannot be read at present");
      storeAway = true;
    }
    if (closed || (!store.shared && !storeAway)) return;
    timer = setTimeout(() => void poll(), pollMs);
    timer.unref();
  }

  async function orUnavailable<T>(request: Promise<T>): Promise<T> {
    try {
      return await request;
    } catch (cause) {
      throw rpcError("store-unavailable", "", cause);
    }
  }

  function record(event: "tool_registered" | "tool_replaced" | "tool_withdrawn", name: string, caller: Caller): void {
    const { name: callerName, tenant } = caller;
    audit.write({ event, time: new Date().toISOString(), caller: callerName, tenant, tool_name: name });
  }

  return {
    async register({ tool: given, target: to, sanitize, $typeName }, caller) {
      if (given === undefined) throw rpcError("invalid-request", "tool must be set");
      if (to === undefined) throw rpcError("invalid-request", "target must be set");
      const { name } = given;
      const { tenant, name: owner } = caller;
      if (registry.get(name) !== undefined) throw rpcError("tool-name-taken", name);
      let target: Target | undefined;
      try {
        target = targetOf(to);
        const complete = await completeTool(given, target);
        const message = visibleTool(complete);
        for (const schema of [message.inputSchema, message.outputSchema]) {
          if (schema !== undefined) await trial.check(schema);
        }
        const tool = compileRegistered({ tool: message, sanitize, tenant }, target, compileSchema);
        const request = { $typeName, tool: message, target: to, sanitize };
        const stored = storedRegistration({ tenant, owner, request }, sealer);
        const replaced = await exclusive(async () => {
          await orUnavailable(store.save(stored));
          const known = loaded.get(stored.key) !== undefined;
          loaded.swap(stored.key, { text: stored.text, tool, note: undefined });
          return known;
        });
        if (JSON.stringify(modelTexts(complete)) !== JSON.stringify(modelTexts(message))) {
          log.warn(
            { tool: name, tenant, caller: owner },
            "invisible characters were removed from the texts of a registered tool",
          );
        }
        log.info({ tool: name, tenant, caller: owner, target: target.label, replaced }, "a tool was registered");
        record(replaced ? "tool_replaced" : "tool_registered", name, caller);
        return tool.message;
      } catch (reason) {
        target?.release();
        const problem = registrationProblem(reason);
        throw problem === undefined ? reason : rpcError("invalid-request", problem, reason);
      }
    },

    async unregister(name, caller) {
      const key = registrationKey(caller.tenant, name);
      const found = await exclusive(async () => {
        if (store.shared) await orUnavailable(refresh());
        if (loaded.get(key) === undefined) return false;
        await orUnavailable(store.remove(key));
        loaded.swap(key, undefined);
        return true;
      });
      if (!found) return false;
      log.info({ tool: name, tenant: caller.tenant, caller: caller.name }, "a registered tool was withdrawn");
      record("tool_withdrawn", name, caller);
      return true;
    },

    async start() {
      // Only at this point: replicas with different first keys must not overwrite each other's work.
      await exclusive(() => resealRegistrations(store, sealer)).catch(() => {});
      await poll();
    },

    async check() {
      return { problems: [], notes: loaded.notes() };
    },

    async close() {
      closed = true;
      clearTimeout(timer);
      await last;
      sessions.close();
      await trial.close();
      await store.close();
    },
  };
}

/** Returns the texts of a tool that a model reads. */
function modelTexts({ description, inputSchema, outputSchema }: ToolMessage): unknown[] {
  return [description.trim(), inputSchema, outputSchema];
}
