import type { BeginResult, Ledger, LedgerEntry } from "../../src/ledger/ledger.ts";

/** Where a driver is tried: one store, and replicas on it. */
export interface LedgerStage {
  /** Opens a replica. */
  open(): Promise<Ledger>;
  /** Ends a replica in the middle of its work: what it runs is abandoned. The object can still send, like a process that was frozen. */
  die(ledger: Ledger): Promise<void>;
  /** Makes the store lose an entry. */
  lose(key: string): Promise<void>;
  close(): Promise<void>;
}

/** The state of an answer to `begin`. */
export const stateOf = ({ state }: BeginResult): string => state;

/** The entry of an answer to `begin`. */
export const entryOf = (begun: BeginResult): LedgerEntry | undefined => ("entry" in begun ? begun.entry : undefined);
