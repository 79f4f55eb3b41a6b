import { lookup as resolveName, type LookupAddress } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { bareHost, type Block, privateAddressFrom } from "../config/private-addresses.ts";
import { DownstreamError } from "./downstream-error.ts";
import { createSharedLookup } from "./shared-lookup.ts";
import { isInBlocks, isPrivateAddress } from "./private-address.ts";

/** Blocks requests to private addresses that the operator has not configured. */
export interface AddressGuard {
  /**
   * Rejects a URL whose host is a private address or a local name: throws a DownstreamError whose message names
   * JACKFIELD_PRIVATE_ADDRESSES. `lookup` checks all other names.
   */
  check(url: URL): void;
  /** Checks a bare host, as in a gRPC address. */
  checkHost(host: string): void;
  /** A lookup function for `net.connect`. It resolves a name and fails if any of its addresses is private. */
  readonly lookup: LookupFunction;
}

/** Options of a guard. */
export interface AddressGuardOptions {
  /** Private hosts, addresses or CIDRs that may be reached. Throws an Error for any other text. */
  readonly privateAddresses: readonly string[];
  /** Resolves names; by default the system's resolver. */
  readonly resolve?: typeof resolveName;
}

/** Creates a guard that allows only those private addresses that the operator has listed. */
export function createAddressGuard({ privateAddresses, resolve = resolveName }: AddressGuardOptions): AddressGuard {
  const sharedResolve = createSharedLookup(resolve);
  const blocks: Block[] = [];
  const hosts = new Set<string>();
  for (const entry of privateAddresses) {
    const address = privateAddressFrom(entry);
    if (address === undefined)
      throw new Error(`JACKFIELD_PRIVATE_ADDRESSES: expected a host name, an address or a CIDR, found "${entry}"`);
    if (typeof address === "string") hosts.add(address);
    else blocks.push(address);
  }

  const isOpen = (address: string): boolean => !isPrivateAddress(address) || isInBlocks(address, blocks);

  function checkName(host: string): void {
    const name = bareHost(host);
    if (hosts.has(name)) return;
    if (isIP(name) === 0 ? isLocalName(name) : !isOpen(name)) throw refusal(name);
  }

  return {
    check: (url) => checkName(url.hostname),
    checkHost(host) {
      // The URL parser normalises every notation of an IPv4 address: 0x7f.1, 017700000001, 2130706433.
      const parsed = URL.parse(`http://${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}`);
      if (parsed === null) throw new DownstreamError("refused", "The host is not valid.", { sent: false });
      checkName(parsed.hostname);
    },
    lookup(host, options, callback) {
      const name = bareHost(host);
      // Resolves all addresses: a name with a public and a private address must not pass because of the public one.
      sharedResolve(host, { ...options, all: true }, (error, found) => {
        if (error !== null) return callback(error, "");
        const addresses = found as LookupAddress[];
        if (addresses.length === 0) {
          return callback(Object.assign(new Error(`no address for ${name}`), { code: "ENOTFOUND" }), "");
        }
        if (!hosts.has(name) && !addresses.every(({ address }) => isOpen(address))) return callback(refusal(name), "");
        if (options.all) return callback(null, addresses);
        const [first] = addresses as [LookupAddress];
        callback(null, first.address, first.family);
      });
    },
  };
}

function isLocalName(name: string): boolean {
  return name === "" || name === "localhost" || name.endsWith(".localhost");
}

function refusal(host: string): DownstreamError {
  const message = `The host ${host} leads to a private address and is not reached. JACKFIELD_PRIVATE_ADDRESSES can allow it.`;
  return new DownstreamError("refused", message, { sent: false });
}
