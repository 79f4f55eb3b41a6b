import { createContextValues } from "@connectrpc/connect";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import type {
  Adapter,
  AdapterClients,
  AdapterHost,
  CallerIdentity,
  Instrument,
  KeyIdentity,
  Requester,
  RequestTrace,
  TraceStart,
} from "../adapters/adapter.ts";
import type { RequestAuthenticator } from "../auth/authenticator.ts";
import type { Caller } from "../auth/caller.ts";
import { createCredentialCheck, isSignedRequest, mapSignedRequest } from "../auth/signed-request.ts";
import type { Scope } from "../config/scope.ts";
import type { AccessRefusals } from "../telemetry/access-refusals.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { kTrace } from "../telemetry/trace-key.ts";

/** Dependencies shared by the hosts of all adapters. */
export interface AdapterHostParts {
  readonly telemetry: Telemetry;
  readonly version: string;
  clientsFor(caller: Caller): AdapterClients;
  /** Authenticates the configured callers. */
  readonly authenticate: RequestAuthenticator;
  readonly refusals: Pick<AccessRefusals, "record">;
}

const doorScopes: readonly Scope[] = ["tools:read", "jobs:read", "jobs:write"];

const adapterScopes: ReadonlySet<Scope> = new Set(["tools:execute", "tools:read", "jobs:read", "jobs:write"]);

/** Tenant of calls and jobs from adapters with their own keys. */
export const adapterTenant = "default";

/** Creates an adapter's access to the service. `instruments` are the adapter's metrics. */
export function createAdapterHost(
  adapter: Pick<Adapter, "name" | "identity">,
  instruments: readonly Instrument[],
  { telemetry, version, clientsFor, authenticate, refusals }: AdapterHostParts,
): AdapterHost {
  const { name, identity } = adapter;
  const shared = {
    version,
    recordRefusal: refusals.record,
    measure: telemetry.metrics.measureFor(instruments),
    log: telemetry.log.child({ adapter: name }),
    tracing: telemetry.tracing,
    startTrace: (start: TraceStart) => startRequestTrace(telemetry, start),
  };
  if (identity.kind === "keys") {
    return { ...shared, clientsFor, ...authenticateByKeys(name, identity, clientsFor) };
  }
  const requesterFor = requestersOfDoor(identity, clientsFor);
  return {
    ...shared,
    clientsFor: (caller) => requesterFor(caller).clients,
    authenticate(request) {
      const caller = authenticate(request);
      if (caller === undefined) return undefined;
      if (isSignedRequest(caller)) return mapSignedRequest(caller, requesterFor);
      if (caller instanceof Promise) return caller.then((found) => found && requesterFor(found));
      return requesterFor(caller);
    },
  };
}

/**
 * Returns clients that act as a configured caller through an entry point: with its limits, and with the scopes that it
 * needs itself in addition to the caller's. A caller that may execute calls needs no job scopes for its long calls to
 * become jobs.
 */
function requestersOfDoor(
  { sanitize, maxOutput }: CallerIdentity,
  clientsFor: AdapterHostParts["clientsFor"],
): (caller: Caller) => Requester {
  const known = new WeakMap<Caller, Requester>();
  return (caller) => {
    let requester = known.get(caller);
    if (requester === undefined) {
      const scopes = new Set<Scope>([...caller.scopes, ...doorScopes]);
      const throughDoor = { ...caller, scopes, sanitize, maxOutputBytes: maxOutput };
      const unmetered = clientsFor({ ...throughDoor, rateLimit: undefined });
      requester = { caller, clients: { ...clientsFor(throughDoor), unmetered } };
      known.set(caller, requester);
    }
    return requester;
  };
}

/** Creates authentication by keys, a signature or both. Its callers, and their clients, are created at startup. */
function authenticateByKeys(
  name: string,
  identity: KeyIdentity,
  clientsFor: AdapterHostParts["clientsFor"],
): Pick<AdapterHost, "authenticate" | "open"> {
  const requesterFor = (caller: Caller): Requester => ({ caller, clients: clientsFor(caller) });
  const [first, ...others] = keyCallers(name, identity);
  const open = requesterFor(first);
  const requesters = [open, ...others.map(requesterFor)];
  const { keys, signature } = identity;
  if (keys.length === 0 && signature === undefined) return { authenticate: () => open, open };
  const credentials =
    keys.length === 0
      ? [{ value: open, keys: [], signature }]
      : keys.map(({ key }, index) => ({ value: requesters[index] ?? open, keys: [key], signature }));
  return { authenticate: createCredentialCheck(credentials, identity.headers, open) };
}

/** Returns the callers for requests to an adapter with its own keys. */
export function adapterCallers({ name, identity }: Pick<Adapter, "name" | "identity">): readonly Caller[] {
  return identity.kind === "keys" ? keyCallers(name, identity) : [];
}

/** Returns one caller per key, and one for requests without a key. The first one has the adapter's name. */
function keyCallers(name: string, identity: KeyIdentity): [Caller, ...Caller[]] {
  const others = identity.keys.slice(1).map((key) => adapterCaller(`${name}:${key.name}`, identity));
  return [adapterCaller(name, identity), ...others];
}

/** Creates the caller for requests with one of an adapter's keys. Its name is the source of their calls. */
function adapterCaller(name: string, identity: Omit<KeyIdentity, "kind" | "headers" | "keys" | "signature">): Caller {
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

/**
 * Starts the span of an adapter's request, as a child of the platform's span if it sent a `traceparent`. If nothing is
 * recorded, the calls of a batch still share a trace id; a single call without a `traceparent` needs none of this.
 */
function startRequestTrace(
  telemetry: Pick<Telemetry, "begin" | "extract" | "tracing">,
  { method, path, traceparent, tracestate, shared }: TraceStart,
): RequestTrace | undefined {
  if (!telemetry.tracing && traceparent === undefined && !shared) return undefined;
  const parent = traceparent === undefined ? undefined : telemetry.extract(traceparent, tracestate);
  if (parent === undefined && !telemetry.tracing && !shared) return undefined;
  const { context, span } = telemetry.begin(`${method} ${path}`, parent, () => ({
    kind: SpanKind.SERVER,
    attributes: { "http.request.method": method, "http.route": path },
  }));
  return {
    values: createContextValues().set(kTrace, context),
    set(attributes) {
      if (span === undefined) return;
      for (const [name, value] of Object.entries(attributes)) if (value !== "") span.setAttribute(name, value);
    },
    end(status) {
      if (span === undefined) return;
      span.setAttribute("http.response.status_code", status);
      if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}
