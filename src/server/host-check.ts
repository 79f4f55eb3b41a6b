import { isLoopback } from "../loopback.ts";

/**
 * Makes the check of the `Host` header against DNS rebinding: on a loopback bind only localhost, loopback addresses and
 * the allowed hosts (with or without a port) are accepted; on other binds everything is. X-Forwarded-Host never counts.
 */
export function createHostCheck(bind: string, allowedHosts: readonly string[]): (host: string | undefined) => boolean {
  if (!isLoopback(bind)) return () => true;
  const allowed = new Set(allowedHosts.map((host) => host.toLowerCase()));
  let lastAccepted: string | undefined;
  return (host) => {
    // HTTP/1.0 has no Host, and no browser speaks it: nothing to rebind.
    if (host === undefined || host === lastAccepted) return true;
    const lower = host.toLowerCase();
    const name = withoutPort(lower);
    if (name === undefined) return false;
    if (!isLoopback(name) && !allowed.has(lower) && !allowed.has(name)) return false;
    lastAccepted = host;
    return true;
  };
}

function withoutPort(host: string): string | undefined {
  const parts = /^(\[[0-9a-f:.]+\]|[^:/@\s,]+)(?::\d{1,5})?$/.exec(host);
  return parts?.[1]?.replace(/\.$/, "");
}
