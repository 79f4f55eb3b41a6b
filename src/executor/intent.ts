import { Effect, Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type { Logger } from "pino";
import type { Intent, Ledger, LedgerEntry } from "../ledger/ledger.ts";
import type { Effect as EffectName } from "../plugin/tool.ts";
import { createBackoff } from "./backoff.ts";
import type { Execution } from "./execution.ts";
import { errorResult } from "./tool-result.ts";

/** The name of each effect in a tool's declaration. Anything unknown is a write. */
export const effectNames: Readonly<Record<Effect, EffectName>> = {
  [Effect.UNSPECIFIED]: "write",
  [Effect.READ]: "read",
  [Effect.IDEMPOTENT]: "idempotent",
  [Effect.WRITE]: "write",
};

/** Returns the effect for its name in a tool's declaration. */
export function effectFromName(name: EffectName): Exclude<Effect, typeof Effect.UNSPECIFIED> {
  if (name === "read") return Effect.READ;
  return name === "idempotent" ? Effect.IDEMPOTENT : Effect.WRITE;
}

/** Returns the record of a call that is stored under a key before it runs. */
export function intentOf(execution: Execution, key: string): Intent {
  return {
    key,
    digest: execution.content,
    callId: execution.callId,
    tool: execution.call.name,
    effect: effectNames[execution.effect] ?? "write",
    argumentsJson: JSON.stringify(execution.args),
    scope: execution.scope,
    timeoutMs: execution.tool.timeoutMs,
  };
}

/** Returns the digest of the arguments in a ledger entry. */
export function digestOf(entry: LedgerEntry): string {
  return entry.digest.slice(0, entry.digest.indexOf(":"));
}

/** Returns the stored answer of a call: its result, or PENDING while it runs. */
export function storedAnswer(execution: Execution, entry: LedgerEntry): ToolResult {
  if (entry.result !== undefined) return { ...entry.result, replayed: true };
  return errorResult(
    execution,
    Outcome.PENDING,
    modelError(entry.effect === "read" ? "pending-read" : "pending-write"),
  );
}

/**
 * Returns the answer of a call that another process has taken over: waits until it has ended there, or this execution is
 * cancelled. Returns undefined if the entry vanishes. Never rejects.
 */
export async function answerOfOther(
  execution: Execution,
  taken: LedgerEntry,
  ledger: Ledger,
): Promise<ToolResult | undefined> {
  const backoff = createBackoff();
  let entry: LedgerEntry | undefined = taken;
  while (entry?.state === "running" && !execution.cancelled) {
    await backoff();
    const known: LedgerEntry = entry;
    // While the store is unavailable, nothing is known of the other process.
    entry = await ledger.find(taken.key).catch(() => known);
  }
  return entry && storedAnswer(execution, entry);
}

/**
 * Records a call that outlived its answer deadline, so that any replica can answer for it. A keyed call that changes
 * something has been in the ledger since before it ran.
 */
export function recordOutlived(execution: Execution, ledger: Ledger, log: Logger): void {
  if (execution.isLedgered) return;
  execution.outlivedClaim ??= ledger.begin(intentOf(execution, execution.lookup)).then(
    (begun) => (begun.state === "new" || begun.state === "abandoned" ? begun.claim : undefined),
    (cause: unknown) => {
      log.warn({ err: cause }, "a call that outlived its answer deadline could not be recorded");
      return undefined;
    },
  );
}
