import { isIPv4 } from "node:net";

/** Tells whether a bind address or host name is this machine only. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase();
  if (name === "localhost" || name === "::1" || name === "[::1]") return true;
  return isIPv4(name) && name.startsWith("127.");
}

/**
 * Makes the check of the `Host` header against DNS rebinding: on a loopback bind only localhost, loopback addresses and
 * the allowed hosts (with or without a port) are accepted; on other binds everything is. X-Forwarded-Host never counts.
 */
export function createHostCheck(bind: string, allowedHosts: readonly string[]): (host: string | undefined) => boolean {
  if (!isLoopback(bind)) return () => true;
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  let lastGood: string | undefined;
  return (host) => {
    // HTTP/1.0 has no Host, and no browser speaks it: nothing to rebind.
    if (host === undefined || host === lastGood) return true;
    const lower = host.toLowerCase();
    const name = withoutPort(lower);
    if (name === undefined) return false;
    if (!isLoopback(name) && !allowed.has(lower) && !allowed.has(name)) return false;
    lastGood = host;
    return true;
  };
}

function withoutPort(host: string): string | undefined {
  const parts = /^(\[[0-9a-f:.]+\]|[^:/@\s,]+)(?::\d{1,5})?$/.exec(host);
  return parts?.[1]?.replace(/\.$/, "");
}
