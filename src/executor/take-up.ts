import { Effect, Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type { AbandonedCall, Claim } from "../ledger/ledger.ts";
import type { Reconciled } from "../plugin/tool.ts";
import { refused, resultOfRun } from "./outcome.ts";
import type { Performance, Performed, PerformParts } from "./perform.ts";
import { runTool } from "./run.ts";

/** A call whose owner died between intent and outcome: `run` again only where that cannot double its effect. */
export async function takeUp(
  work: Performance,
  { entry, claim }: AbandonedCall,
  parts: PerformParts,
  run: (claim: Claim) => Performed | Promise<Performed>,
): Promise<Performed> {
  if (entry.effect !== "write" && work.tool.effect !== Effect.WRITE) return run(claim);
  // DANGER: a write may have taken effect. It runs again only when its own author says that it did not.
  const found = await reconcile(work, parts);
  if (found !== "not-done") return { result: found, ran: false, claim };
  const restarted = await parts.ledger.restart(claim, work.tool.timeoutMs);
  if (restarted.state === "restarted") return run(restarted.claim);
  const stored = restarted.entry?.result ?? refused(work.name, Outcome.UNCERTAIN, modelError("uncertain"));
  return { result: stored, ran: false, claim: undefined };
}

/** Asks the tool's author, no longer than the tool may run. Whatever is not a clear answer is UNCERTAIN. */
async function reconcile(work: Performance, parts: PerformParts): Promise<ToolResult | "not-done"> {
  const { name, tool, args, callId, toolContext } = work;
  const uncertain = (): ToolResult => refused(name, Outcome.UNCERTAIN, modelError("uncertain"));
  const ask = tool.reconcile;
  if (ask === undefined) return uncertain();
  const { idempotencyKey } = toolContext;
  const asked = await runTool(
    () => ask({ args, callId, idempotencyKey }, toolContext.context),
    tool.timeoutMs,
    toolContext,
  );
  if (asked.kind === "threw") parts.onThrow(work, asked.reason);
  if (asked.kind !== "returned") return uncertain();
  const found = asked.returned as Reconciled | null | undefined;
  if (found === "not-done") return found;
  if (typeof found !== "object" || found === null || !("result" in found)) return uncertain();
  return resultOfRun(name, tool, { kind: "returned", returned: found.result }, parts.outputBytes);
}
