import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import {
  createMemoryLedger,
  createMemoryLedgerServer,
  type MemoryLedgerServer,
} from "../../src/ledger/drivers/memory.ts";
import type { StoredEntry } from "../../src/ledger/ledger-store.ts";
import type { ResilientLedgerOptions } from "../../src/ledger/resilient-ledger.ts";
import { createSealer } from "../../src/store/sealer.ts";
import { aResult, anIntent, beginNew } from "./samples.ts";

const [one, two] = ["one", "two"].map((id) => ({ id, secret: randomBytes(32) })) as [
  { id: string; secret: Buffer },
  { id: string; secret: Buffer },
];

/** A server with ledgers on it under given keys, and their log lines. */
function onOneServer() {
  const server = createMemoryLedgerServer();
  const lines: object[] = [];
  const log = {
    warn() {},
    error: (fields: object, message: string) => void lines.push({ ...fields, message }),
  } as unknown as ResilientLedgerOptions["log"];
  return {
    server,
    lines,
    ledger: (...keys: { id: string; secret: Buffer }[]) =>
      createMemoryLedger({ server, log, sealer: createSealer(keys) }),
  };
}

/** Changes the stored content of a call. */
function spoil(server: MemoryLedgerServer, key: string, change: Partial<StoredEntry>): void {
  const known = server.entries.get(key)!;
  known.entry = { ...known.entry, ...change };
}

const message = "the stored record of a call cannot be read: the call is answered as UNCERTAIN";

test("an answer that cannot be read is UNCERTAIN for callers, with a log line for the operator", async () => {
  const { server, lines, ledger } = onOneServer();
  const intent = anIntent();
  const owner = ledger(one);
  await owner.finish(await beginNew(owner, intent), aResult(), "replay");
  spoil(server, intent.key, { result: new Uint8Array([0, 1, 2]) });
  const line = { tool: intent.tool, reason: expect.any(String) as string, message };
  const uncertain = { state: "uncertain", result: { outcome: Outcome.UNCERTAIN } };
  expect(await owner.find(intent.key)).toMatchObject(uncertain);
  expect(lines).toEqual([line]);
  expect(await owner.begin(intent)).toMatchObject({ state: "ended", entry: uncertain });
  expect(lines).toEqual([line, line]);
});

test("a running call whose arguments cannot be read is not logged until it would be run", async () => {
  const { lines, ledger } = onOneServer();
  const intent = anIntent();
  await beginNew(ledger(one), intent);
  expect((await ledger(two).find(intent.key))?.state).toBe("running");
  expect(lines).toEqual([]);
});

test("a call whose arguments cannot be compared is not run, and the error gives the reason", async () => {
  const { server, lines, ledger } = onOneServer();
  const [sealed, digested] = [anIntent(), anIntent()];
  for (const intent of [sealed, digested]) await beginNew(ledger(one), intent);
  const other = ledger(two);
  expect(await other.begin(sealed)).toMatchObject({ state: "ended", entry: { state: "uncertain" } });
  expect(lines).toEqual([{ tool: sealed.tool, reason: expect.stringContaining('the key "one"') as string, message }]);

  // Its arguments can be read; its digest was made with a key that is missing.
  lines.length = 0;
  spoil(server, digested.key, { digest: server.entries.get(digested.key)!.entry.digest.replace("one", "lost") });
  const begun = await ledger(one).begin(digested);
  expect(begun).toMatchObject({
    state: "ended",
    entry: { state: "uncertain", result: { outcome: Outcome.UNCERTAIN } },
  });
  expect(lines).toEqual([{ tool: digested.tool, reason: "the digest of its arguments cannot be compared", message }]);
});
