import type { Adapter } from "../adapters/adapter.ts";
import type { ModelGateway, Platform, PlatformParts, ServeLines } from "../adapters/platform.ts";
import type { Caller } from "../auth/caller.ts";
import type { Config } from "../config/config.ts";
import type { Deliveries } from "../jobs/delivery.ts";
import { createCredential, credentialFromTokens } from "../outbound/credential.ts";
import type { Credential } from "../outbound/http.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { adapterCallers, adapterTenant } from "./adapter-host.ts";

/** The enabled adapters, with the deliveries, callers and checks of their platforms. */
export interface ConnectedPlatforms {
  readonly adapters: readonly { readonly adapter: Adapter; readonly platform: Platform }[];
  /** Deliveries by the source of the jobs whose results they send. */
  readonly deliveries: Deliveries;
  readonly modelGateway: ModelGateway | undefined;
  readonly credentials: Readonly<Record<string, Credential>>;
  /** Callers that the adapters act as, to find those of their jobs after a restart. */
  readonly callers: readonly Caller[];
  /** The adapter that also serves newline-delimited messages. */
  readonly lines: { readonly adapter: Adapter; readonly serve: ServeLines };
  /** Paths whose `Host` header the adapter checks itself. */
  readonly hostCheckedPaths: ReadonlySet<string>;
  /** Missing settings, one sentence each. */
  readonly notes: readonly string[];
}

/** Connects all platforms with an enabled adapter. */
export function connectPlatforms(
  platforms: readonly Platform[],
  config: Pick<Config, "adapters" | "limits" | "credentials">,
  parts: Omit<PlatformParts, "measure" | "log" | "callsPerRequest"> & { readonly telemetry: Telemetry },
): ConnectedPlatforms {
  const { telemetry } = parts;
  const connected = platforms.flatMap((platform) => {
    const configured = config.adapters[platform.name];
    if (configured === undefined) return [];
    const connection = platform.connect(configured.settings, {
      ...parts,
      measure: telemetry.metrics.measureFor(platform.instruments),
      log: telemetry.log.child({ adapter: platform.name }),
      callsPerRequest: config.limits.callsPerRequest,
    });
    return [{ ...connection, platform, enabled: configured.settings.enabled }];
  });
  const lines = connected.find(({ serveLines }) => serveLines !== undefined);
  if (lines?.serveLines === undefined) throw new TypeError("no adapter serves lines");
  return {
    lines: { adapter: lines.adapter, serve: lines.serveLines },
    adapters: connected.filter(({ enabled }) => enabled),
    deliveries: Object.fromEntries(
      connected.flatMap(({ platform, delivery }) =>
        delivery === undefined ? [] : [[platform.name, { tenant: adapterTenant, send: delivery }]],
      ),
    ),
    modelGateway: connected.find(({ modelGateway }) => modelGateway !== undefined)?.modelGateway,
    credentials: Object.fromEntries([
      ...Object.entries(config.credentials).map(
        ([name, one]) => [name, createCredential(one, parts.tokenSource)] as const,
      ),
      ...connected.flatMap(({ credentials = {} }) =>
        Object.entries(credentials).map(([name, tokens]) => [name, credentialFromTokens(tokens)] as const),
      ),
    ]),
    callers: connected.flatMap(({ adapter }) => adapterCallers(adapter)),
    hostCheckedPaths: new Set(connected.flatMap(({ hostCheckedPaths = [] }) => hostCheckedPaths)),
    notes: connected.flatMap(({ enabled, notes = [] }) => (enabled ? notes : [])),
  };
}
