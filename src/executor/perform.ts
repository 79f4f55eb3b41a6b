import { setTimeout as delay } from "node:timers/promises";
import { Effect, Outcome, type ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import { modelError } from "../errors.ts";
import type {
  AbandonedCall,
  BeginResult,
  CallScope,
  Claim,
  Intent,
  Retention,
  Ledger,
  LedgerEntry,
} from "../ledger/ledger.ts";
import type { JsonObject } from "../plugin/tool.ts";
import type { CompiledTool } from "../registry/registry.ts";
import type { Admission, Admissions } from "./admit.ts";
import { effectName } from "./effect.ts";
import { type CallName, refused, resultOfRun, resultWith } from "./outcome.ts";
import type { RepeatGuard } from "./repeat-guard.ts";
import { type Ran, runTool } from "./run.ts";
import type { ToolContext } from "./tool-context.ts";
import { takeUp } from "./take-up.ts";

/** One execution, ready to be performed: found, parsed, sanitised, validated and claimed. */
export interface Performance {
  readonly name: CallName;
  readonly tool: CompiledTool;
  readonly args: JsonObject;
  /** Also tells when nobody waits any more and the call may be given up. */
  readonly toolContext: ToolContext;
  readonly callId: string;
  /** Undefined where the call is not deduplicated. */
  readonly key: string | undefined;
  readonly digest: string;
  readonly scope: CallScope;
  readonly traceId: string;
  /** What the ledger held when its owner had died; taken up instead of begun. */
  readonly takenOver: AbandonedCall | undefined;
}

/** How a performance ended. */
export interface Performed {
  readonly result: ToolResult;
  /** The tool's function started. */
  readonly ran: boolean;
  /** The entry of the ledger that is ours to finish. */
  readonly claim: Claim | undefined;
}

/** What performing needs. */
export interface PerformParts {
  readonly ledger: Ledger;
  readonly admissions: Admissions;
  readonly repeats: RepeatGuard;
  readonly outputBytes: number;
  /** The tool's function threw something that is no ToolError. */
  onThrow(performance: Performance, reason: unknown): void;
}

/** First and longest pause between looks at a call that runs in another process, in milliseconds. */
const pollMs = { first: 50, longest: 500 };

/**
 * Stages 6 to 9 of one call: admit, intent durable, run, outcome. The ledger is asked only for keyed calls that change
 * something; any other is performed synchronously where its tool answers so. Rejects only where the ledger cannot be
 * reached before the run: then nothing has been executed.
 */
export function perform(work: Performance, parts: PerformParts): Performed | Promise<Performed> {
  const { tool, toolContext } = work;
  if (isKept(work) || work.takenOver !== undefined || parts.repeats.watches(work)) return performOnce(work, parts);
  const admission = tool.fault() === undefined ? parts.admissions.admit(tool, toolContext) : undefined;
  if (admission instanceof Promise || admission?.admitted !== true) return performOnce(work, parts, admission);
  const startedAt = performance.now();
  const release = (): void => parts.admissions.release(tool, performance.now() - startedAt);
  let runsOn = false;
  try {
    const performed = runOnce(work, parts);
    runsOn = performed instanceof Promise;
    return performed instanceof Promise ? performed.finally(release) : performed;
  } finally {
    if (!runsOn) release();
  }
}

/** The same where the ledger, another call or a queue has a say. `admission` is the answer of stage 6, if it was asked. */
async function performOnce(
  work: Performance,
  parts: PerformParts,
  admission?: Admission | Promise<Admission>,
): Promise<Performed> {
  const { tool, toolContext } = work;
  let mine: Claim | undefined;
  for (let pause = pollMs.first; ; pause = Math.min(pause * 2, pollMs.longest)) {
    const ready = tool.fault() === undefined;
    const scope = ready ? await (admission ?? parts.admissions.admit(tool, toolContext)) : undefined;
    admission = undefined;
    if (scope?.admitted === true) {
      const startedAt = performance.now();
      try {
        const begun = mine === undefined ? await begin(work, parts.ledger) : { state: "new" as const, claim: mine };
        mine = begun.state === "new" ? begun.claim : undefined;
        const performed = await goOn(work, begun, parts);
        if (performed !== undefined) return performed;
      } catch (cause) {
        // Its run has not started.
        if (mine !== undefined) await parts.ledger.release(mine);
        throw cause;
      } finally {
        parts.admissions.release(tool, performance.now() - startedAt);
      }
    } else {
      const performed = await withoutPlace(work, scope?.retryAfterSeconds, parts.ledger);
      if (performed !== undefined) {
        if (mine !== undefined) await parts.ledger.release(mine);
        return performed;
      }
    }
    // It runs in another process, or a call taken over has no scope yet: look again, without holding a scope here.
    await delay(pause);
  }
}

/** `claim` is undefined where the ledger does not hold the call. */
type Begun = Exclude<BeginResult, { state: "new" }> | { readonly state: "new"; readonly claim: Claim | undefined };

const begunFresh: Begun = { state: "new", claim: undefined };

function begin(work: Performance, ledger: Ledger): Begun | Promise<Begun> {
  if (work.takenOver !== undefined) return { state: "abandoned", ...work.takenOver };
  return isKept(work) ? ledger.begin(intentOf(work, work.key as string)) : begunFresh;
}

/** What is stored of a call before it runs. */
export function intentOf(work: Performance, key: string): Intent {
  return {
    key,
    digest: contentOf(work),
    callId: work.callId,
    tool: work.tool.name,
    effect: effectName(work.tool.effect),
    argumentsJson: JSON.stringify(work.args),
    scope: work.scope,
    timeoutMs: work.tool.timeoutMs,
  };
}

/** What a call asks for, by which a repeat is told from another call under the same id: arguments and tool. */
function contentOf({ digest, tool }: Performance): string {
  return `${digest}:${tool.name}`;
}

/** The digest of the arguments of a ledger entry. */
export function digestOf(entry: LedgerEntry): string {
  return entry.digest.slice(0, entry.digest.indexOf(":"));
}

function goOn(
  work: Performance,
  begun: Begun,
  parts: PerformParts,
): Promise<Performed | undefined> | Performed | undefined {
  switch (begun.state) {
    case "new":
      if (work.toolContext.cancelled) return { ...notRun(cancelled(work)), claim: begun.claim };
      if (parts.repeats.watches(work)) return guarded(work, begun.claim, parts);
      return runOnce(work, parts, begun.claim);
    case "abandoned":
      return takeUp(work, begun, parts, (claim) => runOnce(work, parts, claim));
    case "conflict":
      return conflict(work);
    case "ended":
      return replayed(work, begun.entry);
    case "running":
  }
}

/** Runs the call unless it repeats another. Undefined: that one runs in another process. */
async function guarded(
  work: Performance,
  claim: Claim | undefined,
  parts: PerformParts,
): Promise<Performed | undefined> {
  const performed = await parts.repeats.once(work, () => runOnce(work, parts, claim));
  return performed === undefined ? undefined : { ...performed, claim: performed.ran ? performed.claim : claim };
}

/** Runs the tool's function. */
function runOnce(
  work: Performance,
  parts: Pick<PerformParts, "outputBytes" | "onThrow">,
  claim?: Claim,
): Performed | Promise<Performed> {
  const { tool, toolContext, args } = work;
  const running = runTool(() => tool.run(args, toolContext.context), tool.timeoutMs, toolContext);
  return running instanceof Promise
    ? running.then((ran) => performedBy(work, ran, parts, claim))
    : performedBy(work, running, parts, claim);
}

function performedBy(
  work: Performance,
  ran: Ran,
  parts: Pick<PerformParts, "outputBytes" | "onThrow">,
  claim: Claim | undefined,
): Performed {
  const { tool } = work;
  if (ran.kind === "threw") parts.onThrow(work, ran.reason);
  const stopped = ran.kind === "cancelled" && tool.effect === Effect.WRITE;
  const result = stopped
    ? refused(work.name, Outcome.UNCERTAIN, modelError("uncertain"))
    : resultOfRun(work.name, tool, ran, parts.outputBytes);
  result.attempts = 1;
  // DANGER: a write that was stopped half-way may have taken effect, and must not run again as if it had not. Its intent
  // stays without an outcome: whoever takes over from this process reconciles it.
  return { result, ran: true, claim: ran.kind === "cancelled" ? undefined : claim };
}

/** What becomes of a call without a scope, or whose tool cannot work: its answer, or undefined where it waits on. */
async function withoutPlace(
  work: Performance,
  seconds: number | undefined,
  ledger: Ledger,
): Promise<Performed | undefined> {
  const { name, tool, toolContext, takenOver } = work;
  if (toolContext.cancelled) return notRun(cancelled(work));
  if (takenOver === undefined) {
    // A call that has its answer already needs no scope, and one that runs elsewhere is waited for.
    const entry = isKept(work) ? await ledger.find(work.key as string) : undefined;
    if (entry !== undefined && countsFor(entry, tool.effect)) {
      if (entry.digest !== contentOf(work)) return conflict(work);
      return entry.result === undefined ? undefined : replayed(work, entry);
    }
  }
  if (seconds === undefined) {
    const doubtful = takenOver !== undefined && tool.effect === Effect.WRITE;
    const result = doubtful
      ? refused(name, Outcome.UNCERTAIN, modelError("uncertain"))
      : refused(name, Outcome.FAILED, modelError("tool-not-ready", tool.name));
    return { ...notRun(result), claim: takenOver?.claim };
  }
  return takenOver === undefined
    ? notRun(refused(name, Outcome.OVERLOADED, modelError("overloaded", seconds)))
    : undefined;
}

/** Tells whether a repeat of the call gets this entry; one that is only shown to those who ask by id does not count. */
function countsFor({ result }: LedgerEntry, effect: Effect): boolean {
  return result === undefined || retentionOf(result, effect, false) === "replay";
}

function cancelled(work: Performance): ToolResult {
  return refused(work.name, Outcome.CANCELLED, modelError("cancelled"));
}

function conflict(work: Performance): Performed {
  return notRun(refused(work.name, Outcome.CONFLICT, modelError("conflict")));
}

function replayed(work: Performance, entry: LedgerEntry): Performed {
  const result = entry.result ?? refused(work.name, Outcome.UNCERTAIN, modelError("uncertain"));
  return notRun(resultWith(result, { replayed: true }));
}

function notRun(result: ToolResult): Performed {
  return { result, ran: false, claim: undefined };
}

/** Tells whether the ledger holds the call: it has a key and changes something. */
export function isKept({ key, tool }: Pick<Performance, "key" | "tool">): boolean {
  return key !== undefined && tool.effect !== Effect.READ;
}

/** What becomes of a call's ledger entry: which answers a repeat gets, and which only whoever asks by id. */
export function retentionOf({ outcome, attempts }: ToolResult, effect: Effect, outlived: boolean): Retention {
  switch (outcome) {
    case Outcome.OK:
    case Outcome.INVALID_OUTPUT:
    case Outcome.UNCERTAIN:
      return "replay";
    case Outcome.FAILED:
    case Outcome.TIMED_OUT:
      if (effect === Effect.WRITE && attempts > 0) return "replay";
      break;
    default:
  }
  return outlived ? "show" : "drop";
}
