import type { Logger } from "pino";
import { Outcome } from "../../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../../errors.ts";
import type { AbandonedCall } from "../../ledger/ledger.ts";
import { contextFields } from "../../telemetry/attributes.ts";
import type { JsonObject } from "../../plugin/tool.ts";
import type { Caller } from "../../auth/caller.ts";
import { Execution } from "../execution.ts";
import { digestOf, effectFromName } from "../intent.ts";
import type { ExecutorParts, Run } from "../stage.ts";
import { callKey } from "../stages/deduplicate.ts";
import { endAbandonedGuard, isGuardEntry } from "../stages/guard-repeats.ts";
import { errorResult } from "../tool-result.ts";

/** Number of calls that are recovered concurrently. */
const batchSize = 32;

/**
 * Recovers the calls of processes that died between intent and outcome: a `read` is forgotten, an `idempotent` call
 * runs again under the same key, a `write` is reconciled or becomes UNCERTAIN. Resolves with the number of calls when
 * all have ended. Takes over no more calls once `isDraining` returns true, because other processes will.
 */
export async function recoverCalls(
  run: Run,
  parts: ExecutorParts,
  log: Logger,
  isDraining: () => boolean,
): Promise<number> {
  let count = 0;
  const guards: AbandonedCall[] = [];
  while (!isDraining()) {
    const abandoned = await parts.ledger.recover(batchSize);
    if (abandoned.length === 0) break;
    const calls = abandoned.filter(({ entry }) => !isGuardEntry(entry));
    guards.push(...abandoned.filter(({ entry }) => isGuardEntry(entry)));
    count += calls.length;
    await settleAll(calls, async (call) => {
      const { callId, tool, effect, scope, unreadable } = call.entry;
      const about = { call: callId, tool, effect, ...contextFields(scope, undefined), reason: unreadable };
      log.warn(about, "recovering a call whose process died");
      if ((await recoverCall(call, run, parts)) === Outcome.UNCERTAIN) {
        log.warn(about, "it is not known whether a recovered call took effect: check before it is repeated");
      }
    });
  }
  // They end like the calls that they represent.
  await settleAll(guards, (guard) => endAbandonedGuard(guard, parts.ledger, () => false));
  return count;

  async function settleAll(
    abandoned: readonly AbandonedCall[],
    settle: (abandoned: AbandonedCall) => Promise<unknown>,
  ): Promise<void> {
    const settled = await Promise.allSettled(abandoned.map(settle));
    for (const [index, one] of settled.entries()) {
      if (one.status === "fulfilled") continue;
      const call = abandoned[index]?.entry.callId;
      log.error({ err: one.reason as unknown, call }, "a call could not be recovered; it will be tried again");
    }
  }
}

/** Recovers one call and returns its outcome. */
async function recoverCall(abandoned: AbandonedCall, run: Run, parts: ExecutorParts): Promise<Outcome> {
  const { entry, claim } = abandoned;
  const { ledger, registry } = parts;
  const call = { id: entry.callId, name: entry.tool };
  if (entry.effect === "read") {
    await ledger.finish(claim, errorResult({ call }, Outcome.CANCELLED, modelError("cancelled")), "drop");
    return Outcome.CANCELLED;
  }
  const tool = registry.get(entry.tool, entry.scope.tenant);
  // DANGER: a call without a key was recorded only because it took long. Its downstream knows an idempotency key that is
  // lost, so neither a second run nor `reconcile` may ask it about another one.
  const isKeyed = callKey(entry.scope, entry.callId) === entry.key;
  // DANGER: a call with unreadable arguments may neither run again nor be reconciled.
  if (tool === undefined || entry.unreadable !== undefined || !isKeyed) {
    await ledger.finish(claim, errorResult({ call }, Outcome.UNCERTAIN, modelError("uncertain")), "replay");
    return Outcome.UNCERTAIN;
  }
  const execution = new Execution(
    { $typeName: "jackfield.v1.ToolCall", ...call, input: { case: undefined } },
    { caller: callerOf(entry.scope), context: undefined },
    entry.scope,
    abandoned,
  );
  execution.tool = tool;
  execution.effect = effectFromName(entry.effect);
  execution.args = JSON.parse(entry.argumentsJson) as JsonObject;
  execution.digest = digestOf(entry);
  execution.key = entry.key;
  execution.lookup = entry.key;
  execution.claim = claim;
  // A caller was told that the work continues, so its end is recorded.
  execution.outlived = true;
  const answer = Promise.resolve(run(execution, parts));
  execution.answer = answer;
  return (await answer).outcome;
}

/** Metrics and audit name the source, because the caller itself is not stored. */
function callerOf({ source, tenant }: { source: string; tenant: string }): Caller {
  return { name: source, tenant, scopes: new Set(), tools: undefined };
}
