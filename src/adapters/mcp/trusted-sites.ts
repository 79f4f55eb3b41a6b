import type { IncomingHttpHeaders } from "node:http";
import { isLoopback } from "../../loopback.ts";

/** Trusted sites besides this machine. */
export interface TrustedSites {
  /** Host names, with or without a port. */
  readonly hosts: readonly string[];
  /** Origins, such as `https://app.example.com`. */
  readonly origins: readonly string[];
}

/**
 * Creates the check of `Host` and `Origin` against DNS rebinding: MCP often runs on users' own machines, where a web
 * page must not reach it. The check returns the reason to refuse a request, if any.
 */
export function createSiteCheck(trusted: TrustedSites): (headers: IncomingHttpHeaders) => string | undefined {
  const hosts = new Set(trusted.hosts.map((host) => host.toLowerCase()));
  const origins = new Set(trusted.origins.map((origin) => origin.toLowerCase()));
  let lastGood: string | undefined;

  const isTrusted = (host: string): boolean => {
    const lower = host.toLowerCase();
    const name = withoutPort(lower);
    return name !== undefined && (isLoopback(name) || hosts.has(lower) || hosts.has(name));
  };

  return (headers) => {
    const host = headers.host ?? headers[":authority" as "host"];
    // HTTP/1.0 requests have no Host. Browsers do not send them, so DNS rebinding cannot use them.
    if (host !== undefined && host !== lastGood) {
      if (!isTrusted(host)) return `The Host ${quoted(host)} is not allowed: add it to JACKFIELD_ALLOWED_HOSTS`;
      lastGood = host;
    }
    const { origin } = headers;
    if (origin === undefined || origins.has(origin.toLowerCase())) return undefined;
    const from = URL.parse(origin);
    if (from !== null && from.host !== "" && isTrusted(from.host)) return undefined;
    return `The Origin ${quoted(origin)} is not allowed: add it to adapters.mcp.allowedOrigins`;
  };
}

function withoutPort(host: string): string | undefined {
  return /^(\[[0-9a-f:.]+\]|[^:/@\s,]+)(?::\d{1,5})?$/.exec(host)?.[1]?.replace(/\.$/, "");
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200));
}
