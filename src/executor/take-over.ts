import type { Logger } from "pino";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type { AbandonedCall, Ledger } from "../ledger/ledger.ts";
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
  const repeats: AbandonedCall[] = [];
  const settleAll = async (
    abandoned: AbandonedCall[],
    settleOne: (call: AbandonedCall) => Promise<unknown>,
  ): Promise<void> => {
    const settled = await Promise.allSettled(abandoned.map(settleOne));
    for (const one of settled)
      if (one.status === "rejected") log.error({ err: one.reason as unknown }, "a call could not be taken over");
  };
  for (;;) {
    const abandoned = await ledger.recover(atOnce);
    if (abandoned.length === 0) break;
    const calls = abandoned.filter(({ entry }) => !isRepeatEntry(entry));
    repeats.push(...abandoned.filter(({ entry }) => isRepeatEntry(entry)));
    count += calls.length;
    log.warn({ calls: calls.length }, "taking over calls whose process died");
    await settleAll(calls, (call) => settle(call, ledger, registry, launched));
  }
  // They end as the calls that they stand for have ended.
  await settleAll(repeats, (call) => endAbandonedRepeat(call, ledger));
  return count;
}

async function settle(call: AbandonedCall, ledger: Ledger, registry: Registry, launched: Launched): Promise<void> {
  const { entry, claim } = call;
  const name = { callId: entry.callId, name: entry.tool };
  if (entry.effect === "read") {
    await ledger.finish(claim, refused(name, Outcome.CANCELLED, modelError("cancelled")), "drop");
    return;
  }
  const tool = registry.get(entry.tool, entry.scope.tenant);
  // A call that was recorded only because it took long has no key that the downstream could know it by.
  const known = callKey(entry.scope, entry.callId) === entry.key;
  if (tool === undefined || (entry.effect === "idempotent" && !known)) {
    await ledger.finish(claim, refused(name, Outcome.UNCERTAIN, modelError("uncertain")), "replay");
    return;
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
    takenOver: call,
  });
  // Whoever asked was told that it goes on: its end is kept for them.
  execution.outlived = true;
  await execution.ended;
}
