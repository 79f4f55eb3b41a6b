import type {
  Adapter,
  AdapterClients,
  AdapterHost,
  CallerIdentity,
  Instrument,
  KeyIdentity,
} from "../adapters/adapter.ts";
import type { RequestAuthenticator } from "../auth/authenticator.ts";
import type { Caller } from "../auth/caller.ts";
import { createHeaderAuthenticator } from "../auth/header-keys.ts";
import type { Scope } from "../config/scope.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { startRequestTrace } from "./request-trace.ts";

/** What the hosts of all adapters share. */
export interface AdapterHostParts {
  readonly telemetry: Telemetry;
  readonly version: string;
  clientsFor(caller: Caller): AdapterClients;
  /** Authenticates the configured callers. */
  readonly authenticate: RequestAuthenticator;
}

const doorScopes: readonly Scope[] = ["tools:read", "jobs:read", "jobs:write"];

const adapterScopes: ReadonlySet<Scope> = new Set(["tools:execute", "tools:read", "jobs:read", "jobs:write"]);

/** Tenant of the calls and jobs of adapters with keys of their own. */
export const adapterTenant = "default";

/** Makes what an adapter can reach of the service. `instruments` are its metrics. */
export function createAdapterHost(
  adapter: Pick<Adapter, "name" | "identity">,
  instruments: readonly Instrument[],
  { telemetry, version, clientsFor, authenticate }: AdapterHostParts,
): AdapterHost {
  const { name, identity } = adapter;
  return {
    version,
    clientsFor: identity.kind === "callers" ? clientsOfDoor(identity, clientsFor) : clientsFor,
    measure: telemetry.metrics.measureFor(instruments),
    log: telemetry.log.child({ adapter: name }),
    startTrace: (start) => startRequestTrace(telemetry, start),
    authenticate: identity.kind === "callers" ? authenticate : authenticateByKeys(name, identity),
  };
}

/**
 * Clients that act as a configured caller through a door: with its limits, and with what the door itself needs beside the
 * caller's scopes. A caller that may execute need not be allowed jobs for its long calls to become some.
 */
function clientsOfDoor(
  { sanitize, maxOutput }: CallerIdentity,
  clientsFor: (caller: Caller) => AdapterClients,
): (caller: Caller) => AdapterClients {
  const known = new WeakMap<Caller, AdapterClients>();
  return (caller) => {
    let clients = known.get(caller);
    if (clients === undefined) {
      const scopes = new Set<Scope>([...caller.scopes, ...doorScopes]);
      const throughDoor = { ...caller, scopes, sanitize, maxOutputBytes: maxOutput };
      clients = { ...clientsFor(throughDoor), unmetered: clientsFor({ ...throughDoor, rateLimit: undefined }) };
      known.set(caller, clients);
    }
    return clients;
  };
}

function authenticateByKeys(name: string, identity: KeyIdentity): (request: RequestOf) => Caller | undefined {
  const [first, ...others] = keyCallers(name, identity);
  const known = identity.keys.map(({ key }, index) => ({ key, value: [first, ...others][index] ?? first }));
  return createHeaderAuthenticator(known, identity.headers, first);
}

/** The callers that the requests of an adapter with keys of its own act as. */
export function adapterCallers({ name, identity }: Pick<Adapter, "name" | "identity">): readonly Caller[] {
  return identity.kind === "keys" ? keyCallers(name, identity) : [];
}

/** One caller per key, and one for requests without a key. The first one has the adapter's name. */
function keyCallers(name: string, identity: KeyIdentity): [Caller, ...Caller[]] {
  const others = identity.keys.slice(1).map((key) => adapterCaller(`${name}:${key.name}`, identity));
  return [adapterCaller(name, identity), ...others];
}

type RequestOf = Parameters<AdapterHost["authenticate"]>[0];

/** Makes the caller that requests with one key of an adapter act as. Its name is the source of their calls. */
function adapterCaller(name: string, identity: Omit<KeyIdentity, "kind" | "headers" | "keys">): Caller {
  return {
    name,
    tenant: adapterTenant,
    scopes: adapterScopes,
    tools: undefined,
    sanitize: identity.sanitize,
    maxOutputBytes: identity.maxOutput,
    uniqueCallIds: identity.uniqueCallIds ?? false,
  };
}
