import type { LookupAddress, LookupOptions } from "node:dns";

/** Resolves a name as `dns.lookup` does. */
export type Lookup = (
  host: string,
  options: LookupOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
) => void;

/**
 * Shares the pending look-up of a name among all connections that request it. DANGER: the system's resolver occupies
 * one of the four threads that also write the log and the audit log and verify tokens. Without sharing, an unresponsive
 * name server would occupy all four with a single name.
 */
export function createSharedLookup(lookup: Lookup): Lookup {
  const pending = new Map<string, Parameters<Lookup>[2][]>();
  return (host, options, callback) => {
    const key = JSON.stringify([host, options.all, options.family, options.hints, options.order, options.verbatim]);
    const waiting = pending.get(key);
    if (waiting !== undefined) return void waiting.push(callback);
    const callbacks = [callback];
    pending.set(key, callbacks);
    lookup(host, options, (...answer) => {
      pending.delete(key);
      for (const answered of callbacks) answered(...answer);
    });
  };
}
