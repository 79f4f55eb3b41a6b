import ipaddr from "ipaddr.js";
import type { Block } from "../config/private-addresses.ts";

const globalUnicast = ipaddr.parseCIDR("2000::/3");

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
