import ipaddr from "ipaddr.js";

const globalUnicast = ipaddr.parseCIDR("2000::/3");

/** An address block. */
export type Block = ReturnType<typeof ipaddr.parseCIDR>;

/** Parses a CIDR or a single address as a block; undefined for any other text. */
export function blockFromText(text: string): Block | undefined {
  const bare = text.replace(/^\[(.*)\]$/, "$1");
  if (ipaddr.isValidCIDR(bare)) return ipaddr.parseCIDR(bare);
  if (!ipaddr.IPv4.isValidFourPartDecimal(bare) && !ipaddr.IPv6.isValid(bare)) return undefined;
  const address = ipaddr.process(bare);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}

/**
 * Reports whether an IP address is not public: loopback, private, link-local, carrier-grade NAT, unspecified,
 * multicast, documentation, and every IPv6 form that contains an IPv4 address or leads through a translator (mapped,
 * compatible, NAT64, 6to4, Teredo). A text that is not an address counts as private.
 */
export function isPrivateAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return true;
  const address = ipaddr.process(text);
  if (address.range() !== "unicast") return true;
  // No public address is assigned outside 2000::/3; without this check `::127.0.0.1` would pass as unicast.
  return address.kind() === "ipv6" && !address.match(globalUnicast);
}

/** Reports whether an IP address, including its IPv6-mapped form, lies in one of the blocks. */
export function isInBlocks(text: string, blocks: readonly Block[]): boolean {
  if (!ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  return blocks.some((block) => block[0].kind() === address.kind() && address.match(block));
}
