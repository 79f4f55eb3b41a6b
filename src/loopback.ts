import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

/** Reports whether a host name or address reaches this machine only. The one rule for binding, `Host` and `Origin`. */
export function isLoopback(host: string): boolean {
  const name = (host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host).toLowerCase();
  if (name === "localhost" || name.endsWith(".localhost")) return true;
  return isIP(name) !== 0 && ipaddr.process(name).range() === "loopback";
}
