import type { Client, ServiceImplSpec } from "@connectrpc/connect";
import { Code, ConnectError } from "@connectrpc/connect";
import { Jobs } from "../../gen/jackfield/v1/jobs_pb.ts";
import { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { localCaller } from "../auth/authenticator.ts";
import type { Caller, SanitizeMode } from "../auth/caller.ts";
import { tokenCaller } from "../auth/token-caller.ts";
import type { Scope } from "../config/scope.ts";
import type { Config } from "../config/config.ts";
import type { JobRecord } from "../jobs/job-queue.ts";
import { createInProcessClient } from "../rpc/in-process/transport.ts";
import type { Front } from "../rpc/front.ts";

/** In-process clients of the services, for one caller. */
export interface InProcessClients {
  readonly executor: Client<typeof ToolExecutor>;
  readonly jobs: Client<typeof Jobs>;
}

/** Creates clients that act as a caller, once per caller. */
export function createClientsFor(
  services: readonly ServiceImplSpec[],
  front: Front,
): (caller: Caller) => InProcessClients {
  const made = new WeakMap<Caller, InProcessClients>();
  return (caller) => {
    let clients = made.get(caller);
    if (clients === undefined) {
      clients = {
        executor: createInProcessClient(ToolExecutor, services, { caller, front }),
        jobs: createInProcessClient(Jobs, services, { caller, front }),
      };
      made.set(caller, clients);
    }
    return clients;
  };
}

/**
 * Finds the caller that a job's calls run as. Throws PermissionDenied if the caller who submitted the job no longer
 * exists.
 */
export function createJobCallers(
  config: Pick<Config, "callers" | "oauth">,
  adapters: readonly Caller[],
): (record: JobRecord) => Caller {
  const known = new Map<string, Caller>();
  for (const caller of adapters) known.set(`${caller.tenant} ${caller.name}`, caller);
  for (const { caller } of config.callers) known.set(`${caller.tenant} ${caller.name}`, caller);
  const isOpen = config.callers.length === 0 && config.oauth.length === 0;
  const delegating = new WeakMap<Caller, Map<SanitizeMode | undefined, Caller>>();

  /**
   * Returns the caller of a token that is no longer available: it may execute calls as long as its issuer is
   * configured.
   */
  function tokenCallerOf(tenant: string, name: string): Caller | undefined {
    const [entry = "", ...subject] = name.split(":");
    const issuer = config.oauth.find((candidate) => candidate.name === entry && candidate.tenant === tenant);
    return issuer && subject.length > 0 ? tokenCaller(issuer, subject.join(":"), ["tools:execute"]) : undefined;
  }

  return ({ tenant, caller: name, sanitize: ofJob }) => {
    const found = known.get(`${tenant} ${name}`) ?? tokenCallerOf(tenant, name) ?? (isOpen ? localCaller : undefined);
    if (found === undefined)
      throw new ConnectError(`the caller ${name} is no longer configured`, Code.PermissionDenied);
    // The job sets its source itself: the right to do so was checked when it was submitted.
    const callers = delegating.get(found) ?? new Map<SanitizeMode | undefined, Caller>();
    delegating.set(found, callers);
    const sanitize = ofJob ?? found.sanitize;
    let caller = callers.get(sanitize);
    if (caller === undefined) {
      // The rate limit was applied when the job was submitted.
      const scopes = new Set<Scope>([...found.scopes, "calls:delegate"]);
      caller = { ...found, rateLimit: undefined, scopes, ...(sanitize !== undefined && { sanitize }) };
      callers.set(sanitize, caller);
    }
    return caller;
  };
}
