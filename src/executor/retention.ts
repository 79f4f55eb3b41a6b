import { Effect, Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { LedgerEntry, Retention } from "../ledger/ledger.ts";
import type { Effect as EffectName } from "../plugin/tool.ts";

/**
 * What a result means for a repeat of its call: whether it is kept, and who gets it. `isNotDone`: the tool's `reconcile` says
 * that a write has not happened.
 */
export function retentionOf(
  { outcome, attempts }: Pick<ToolResult, "outcome" | "attempts">,
  effect: Effect,
  outlived: boolean,
  isNotDone = false,
): Retention {
  switch (outcome) {
    case Outcome.OK:
    case Outcome.INVALID_OUTPUT:
    case Outcome.UNCERTAIN:
      return "replay";
    case Outcome.FAILED:
      if (effect === Effect.WRITE && attempts > 0 && !isNotDone) return "replay";
      break;
    default:
  }
  return outlived ? "show" : "drop";
}

/** Whether a repeat of the call gets this entry: its answer, or the one that its run is going to have. */
export function isReplayable({ result, effect }: LedgerEntry): boolean {
  return result === undefined || retentionOf(result, effectFromName(effect), false) === "replay";
}

/** The author's word for an effect. Anything unknown is a write. */
export function effectName(effect: Effect): EffectName {
  if (effect === Effect.READ) return "read";
  return effect === Effect.IDEMPOTENT ? "idempotent" : "write";
}

/** The effect that an author's word stands for. */
export function effectFromName(name: EffectName): Exclude<Effect, typeof Effect.UNSPECIFIED> {
  if (name === "read") return Effect.READ;
  return name === "idempotent" ? Effect.IDEMPOTENT : Effect.WRITE;
}
