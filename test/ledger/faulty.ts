import { createMemoryLedgerServer, createMemoryLedgerStore } from "../../src/ledger/drivers/memory.ts";
import type { LedgerStore } from "../../src/ledger/ledger-store.ts";
import { createResilientLedger, type ResilientLedgerOptions } from "../../src/ledger/resilient-ledger.ts";

/** A ledger over a store in memory whose requests can fail, and its server. Log lines have the form `LEVEL MESSAGE`. */
export function faulty(faults: (store: LedgerStore) => Partial<LedgerStore>, options: ResilientLedgerOptions = {}) {
  let now = 1_000_000;
  const lines: string[] = [];
  const server = createMemoryLedgerServer(() => now);
  const store = createMemoryLedgerStore(server);
  const line = (level: string) => (fields: object, message: string) =>
    void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const log = { warn: line("warn"), error: line("error") } as unknown as ResilientLedgerOptions["log"];
  const ledger = createResilientLedger({ ...store, ...faults(store) }, { log, ...options });
  return { ledger, server, lines, pass: (ms: number) => (now += ms) };
}
