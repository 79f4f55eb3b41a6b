import ipaddr from "ipaddr.js";

/** An address block. */
export type Block = ReturnType<typeof ipaddr.parseCIDR>;

const hostName = /^(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/;

/**
 * Parses an entry of `JACKFIELD_PRIVATE_ADDRESSES`: a CIDR or an address as a block, or the name of a host as `bareHost`
 * returns it; undefined for any other text.
 */
export function privateAddressFrom(entry: string): Block | string | undefined {
  const text = entry.trim();
  const name = bareHost(text);
  return blockFromText(text) ?? (hostName.test(name) && !/^[\d.]+$/.test(name) ? name : undefined);
}

/** Parses a CIDR or a single address as a block; undefined for any other text. */
export function blockFromText(text: string): Block | undefined {
  const bare = text.replace(/^\[(.*)\]$/, "$1");
  if (ipaddr.isValidCIDR(bare)) return ipaddr.parseCIDR(bare);
  if (!ipaddr.IPv4.isValidFourPartDecimal(bare) && !ipaddr.IPv6.isValid(bare)) return undefined;
  const address = ipaddr.process(bare);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}

/** Returns a host in lower case, without brackets and final dot. */
export function bareHost(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "");
}
