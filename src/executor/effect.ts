import { Effect } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Effect as EffectName } from "../plugin/tool.ts";

/** The author's word for an effect; whatever is not known is a write. */
export function effectName(effect: Effect): EffectName {
  if (effect === Effect.READ) return "read";
  return effect === Effect.IDEMPOTENT ? "idempotent" : "write";
}
