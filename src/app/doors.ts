import { hash } from "node:crypto";
import type { Logger } from "pino";
import type { Adapter } from "../adapters/adapter.ts";
import { createHttpAdapter } from "../adapters/http/index.ts";
import { createMcpAdapter, type McpAdapter } from "../adapters/mcp/index.ts";
import type { Config } from "../config/config.ts";

/** What the doors for configured callers are made with. */
export interface DoorParts {
  readonly config: Config;
  readonly version: string;
  readonly log: Logger;
  /** Fires when open streams have to end. */
  readonly shutdown: AbortSignal;
}

/** Paths of doors that check the `Host` header themselves. */
export const hostCheckedPaths: ReadonlySet<string> = new Set(["/mcp"]);

/** The doors for configured callers. */
export interface Doors {
  /** Those that are mounted. */
  readonly enabled: readonly Adapter[];
  /** The MCP door, which is there for other transports where it is not mounted. */
  readonly mcp: McpAdapter;
}

/** Makes the doors for configured callers. */
export function createDoors({ config, version, log, shutdown }: DoorParts): Doors {
  const { mcp, http } = config.adapters;
  const metadataUrl = metadataUrlOf(config);
  const mcpAdapter = createMcpAdapter(mcp, {
    version,
    log,
    trusted: { hosts: publicHosts(config), origins: mcp.allowedOrigins },
    metadataUrl,
    taskTtlMs: config.ledger.windowHours * 3_600_000,
    stateSecret: stateSecretOf(config),
    shutdown,
  });
  const enabled = [
    ...(mcp.enabled ? [mcpAdapter] : []),
    ...(http.enabled ? [createHttpAdapter(http, { version, metadataUrl })] : []),
  ];
  return { enabled, mcp: mcpAdapter };
}

/** Hosts under which the service is known: those that are allowed, and those of its public addresses. */
export function publicHosts({
  allowedHosts,
  adapters,
  oauth,
}: Pick<Config, "allowedHosts" | "adapters" | "oauth">): string[] {
  const urls = [adapters.http.publicUrl, ...oauth.map(({ resource }) => resource)].filter((url) => url !== "");
  return [...allowedHosts, ...urls.map((url) => new URL(url).host)];
}

/** Where clients find out whom to ask for a token. Source: RFC 9728 section 3.1. */
export function metadataUrlOf({ oauth }: Pick<Config, "oauth">): string | undefined {
  const [first] = oauth;
  if (first === undefined) return undefined;
  const { origin, pathname } = new URL(first.resource);
  return `${origin}/.well-known/oauth-protected-resource${pathname === "/" ? "" : pathname}`;
}

/** What clients read of the resource that they need a token for. Source: RFC 9728 section 2. Undefined without tokens. */
export function protectedResourceOf({ oauth }: Pick<Config, "oauth">): object | undefined {
  const [first] = oauth;
  if (first === undefined) return undefined;
  const issuers = oauth.filter(({ resource }) => resource === first.resource);
  const scopes = issuers.flatMap((issuer) => Object.keys(issuer.scopes ?? { "tools:read": [], "tools:execute": [] }));
  return {
    resource: first.resource,
    authorization_servers: issuers.map(({ issuer }) => issuer),
    scopes_supported: [...new Set(scopes)],
    bearer_methods_supported: ["header"],
  };
}

/** A secret that all replicas share without being told one more: they share the engine, or are one process with its folder. */
function stateSecretOf({ engineUrl, dataDir, callers }: Config): string {
  const keys = callers.flatMap((caller) => caller.keys.map((key) => key.reveal())).sort();
  return hash("sha256", JSON.stringify(["request state", ...(engineUrl ? [engineUrl.reveal()] : [dataDir, ...keys])]));
}
