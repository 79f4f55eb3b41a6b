import type { BeginResult, Ledger, LedgerEntry } from "../../src/ledger/ledger.ts";

/** The environment of a driver under test: one store, and replicas on it. */
export interface LedgerStage {
  /** Opens a replica. */
  open(): Promise<Ledger>;
  /** Kills a replica while it works: its running calls are abandoned. The object can still send, like a frozen process. */
  die(ledger: Ledger): Promise<void>;
  /** Makes the store lose an entry. */
  lose(key: string): Promise<void>;
  close(): Promise<void>;
}

/** Returns the state of a result of `begin`. */
export const stateOf = ({ state }: BeginResult): string => state;

/** Returns the entry of a result of `begin`. */
export const entryOf = (begun: BeginResult): LedgerEntry | undefined => ("entry" in begun ? begun.entry : undefined);
