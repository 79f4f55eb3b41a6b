import type { SanitizeMode } from "../../auth/caller.ts";
import type { Adapter, AdapterLog } from "../adapter.ts";
import { createChallenges } from "../../auth/challenge.ts";
import type { Platform } from "../platform.ts";
import { createMcpDoor, type McpDoor } from "./door.ts";
import { createHttpRoute, type HttpRouteOptions } from "./http-route.ts";
import { codes, McpError } from "./protocol.ts";
import { mcpConfiguration, type McpOwnSettings } from "./settings.ts";
import { createLineServer } from "./stdio.ts";
import { createSiteCheck, type TrustedSites } from "./trusted-sites.ts";

/** The Model Context Protocol. */
export const mcp: Platform<McpOwnSettings> = {
  ...mcpConfiguration,
  instruments: [],
  connect(settings, { version, log, shutdown, service }) {
    const trusted = { hosts: service.hosts, origins: settings.allowedOrigins };
    const adapter = createMcpAdapter(settings, {
      version,
      log,
      trusted,
      metadataUrl: service.metadataUrl,
      taskTtlMs: service.windowMs,
      stateSecret: () => service.sharedSecret(),
      shutdown,
    });
    return {
      adapter,
      serveLines: (parts) => createLineServer({ ...parts, door: adapter.door }),
      hostCheckedPaths: ["/mcp"],
    };
  },
};

/** Settings of MCP. */
export interface McpSettings {
  readonly answerWithinMs: number;
  readonly taskAfterMs: number;
  readonly pageSize: number;
  readonly listTtlMs: number;
  readonly instructions: string;
  readonly sanitize: SanitizeMode;
  /** Maximum output in bytes. */
  readonly maxOutput: number;
}

/** Dependencies of the adapter besides its settings. */
export interface McpParts {
  readonly version: string;
  readonly log: Pick<AdapterLog, "error">;
  readonly trusted: TrustedSites;
  /** URL of the metadata of the protected resource (RFC 9728). Undefined if tokens are not accepted. */
  readonly metadataUrl: string | undefined;
  /** How long a task is kept, in milliseconds. */
  readonly taskTtlMs: number;
  /** Returns the secret that signs request states, the same on every replica. Rejects with a ConnectError. */
  stateSecret(): Promise<string>;
  /** Fires when open streams must end. */
  readonly shutdown: AbortSignal;
  /** Durations that tests shorten. */
  readonly times?: Partial<StreamTimes>;
}

/** Durations of streams, in milliseconds. */
export type StreamTimes = Pick<HttpRouteOptions, "streamAfterMs" | "commentEveryMs">;

/** The adapter, and the protocol implementation behind it for other transports. */
export interface McpAdapter extends Adapter {
  readonly door: McpDoor;
}

/**
 * Creates the adapter for MCP over HTTP at `POST /mcp`: tools only, without sessions, for clients of every revision.
 */
export function createMcpAdapter(settings: McpSettings, parts: McpParts): McpAdapter {
  const challenges = createChallenges(parts.metadataUrl);
  const door = createMcpDoor({
    ...settings,
    ...parts,
    missingScope: (scope) =>
      new McpError(codes.invalidRequest, `This caller lacks the scope ${scope}`, {
        status: 403,
        headers: { "www-authenticate": challenges.insufficient(scope) },
      }),
  });
  endWith(door, parts.shutdown);
  const route = createHttpRoute({
    door,
    challenges,
    refuse: createSiteCheck(parts.trusted),
    streamAfterMs: 10_000,
    commentEveryMs: 15_000,
    ...parts.times,
  });
  const { sanitize, maxOutput } = settings;
  return { name: "mcp", identity: { kind: "callers", sanitize, maxOutput }, routes: [route], door };
}

function endWith(door: McpDoor, shutdown: AbortSignal): void {
  shutdown.addEventListener("abort", () => door.close());
}
