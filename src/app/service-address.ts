import type { ServiceAddress } from "../adapters/platform.ts";
import type { Config } from "../config/config.ts";
import { rpcError } from "../errors.ts";
import type { SharedSecret } from "../store/shared-secret.ts";

/** Returns the address of the service, and related facts, for adapters. */
export function serviceAddress(config: Config, sharedSecret: SharedSecret): ServiceAddress {
  return {
    hosts: publicHosts(config),
    metadataUrl: metadataUrlOf(config),
    windowMs: config.ledger.windowHours * 3_600_000,
    sharedSecret: () =>
      sharedSecret().catch((cause: unknown) => {
        throw rpcError("store-unavailable", "", cause);
      }),
  };
}

/** Returns the public host names of the service: the allowed hosts and those of its public URLs. */
export function publicHosts({
  allowedHosts,
  adapters,
  oauth,
}: Pick<Config, "allowedHosts" | "adapters" | "oauth">): string[] {
  const ofAdapters = Object.values(adapters).flatMap(
    ({ configuration, settings }) => configuration.publicUrls?.(settings) ?? [],
  );
  const urls = [...ofAdapters, ...oauth.map(({ resource }) => resource)];
  return [...allowedHosts, ...urls.map((url) => new URL(url).host)];
}

/** Returns the URL of the metadata that names the authorization server. Source: RFC 9728 section 3.1. */
export function metadataUrlOf({ oauth }: Pick<Config, "oauth">): string | undefined {
  const [first] = oauth;
  if (first === undefined) return undefined;
  const { origin, pathname } = new URL(first.resource);
  return `${origin}/.well-known/oauth-protected-resource${pathname === "/" ? "" : pathname}`;
}

/** Returns the metadata of the protected resource. Source: RFC 9728 section 2. Undefined if tokens are not accepted. */
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
