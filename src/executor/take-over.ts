import type { Logger } from "pino";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type { Ledger, LedgerEntry } from "../ledger/ledger.ts";
import type { JsonObject } from "../plugin/tool.ts";
import type { Registry } from "../registry/registry.ts";
import { callKey } from "../ledger/call-key.ts";
import type { Launched } from "./launch.ts";
import { refused } from "./outcome.ts";
import { digestOf } from "./perform.ts";
import { endAbandonedRepeat, isRepeatEntry } from "./repeat-guard.ts";

/** Calls taken over at once. */
const atOnce = 32;

/**
 * Takes over the calls of processes that died between intent and outcome: a `read` is forgotten, an `idempotent` call runs
 * again under the same key, a `write` is reconciled or becomes UNCERTAIN. Returns how many there were; resolves when they
 * are settled.
 */
export async function takeOverAbandoned(
  ledger: Ledger,
  registry: Registry,
  launched: Launched,
  log: Logger,
): Promise<number> {
  let count = 0;
  const repeats: LedgerEntry[] = [];
  const settleAll = async (
    entries: LedgerEntry[],
    settleOne: (entry: LedgerEntry) => Promise<unknown>,
  ): Promise<void> => {
    const settled = await Promise.allSettled(entries.map(settleOne));
    for (const one of settled)
      if (one.status === "rejected") log.error({ err: one.reason as unknown }, "a call could not be taken over");
  };
  for (;;) {
    const entries = await ledger.takeOver(atOnce);
    if (entries.length === 0) break;
    const calls = entries.filter((entry) => !isRepeatEntry(entry));
    repeats.push(...entries.filter(isRepeatEntry));
    count += calls.length;
    log.warn({ calls: calls.length }, "taking over calls whose process died");
    await settleAll(calls, (entry) => settle(entry, ledger, registry, launched));
  }
  // They end as the calls that they stand for have ended.
  await settleAll(repeats, (entry) => endAbandonedRepeat(entry, ledger));
  return count;
}

async function settle(entry: LedgerEntry, ledger: Ledger, registry: Registry, launched: Launched): Promise<void> {
  const name = { callId: entry.callId, name: entry.tool };
  if (entry.effect === "read") {
    return ledger.finish(entry.key, refused(name, Outcome.CANCELLED, modelError("cancelled")), "drop");
  }
  const tool = registry.get(entry.tool);
  // A call that was recorded only because it took long has no key that the downstream could know it by.
  const known = callKey(entry.scope, entry.callId) === entry.key;
  if (tool === undefined || (entry.effect === "idempotent" && !known)) {
    return ledger.finish(entry.key, refused(name, Outcome.UNCERTAIN, modelError("uncertain")), "replay");
  }
  const execution = launched.start({
    call: { $typeName: "jackfield.v1.ToolCall", id: entry.callId, name: entry.tool, input: { case: undefined } },
    callId: entry.callId,
    tool,
    args: JSON.parse(entry.argumentsJson) as JsonObject,
    digest: digestOf(entry),
    scope: entry.scope,
    key: entry.key,
    lookup: entry.key,
    caller: entry.scope.source,
    trace: undefined,
    listener: undefined,
    takenOver: entry,
  });
  // Whoever asked was told that it goes on: its end is kept for them.
  execution.outlived = true;
  await execution.ended;
}
