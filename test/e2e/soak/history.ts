import { type Answer, readAnswer } from "./answer.ts";
import type { Call } from "./doors.ts";
import type { Effects } from "./downstream.ts";
import type { Delivered } from "./platform.ts";

/** Broken promises by kind, a sentence for each. */
export interface Verdict {
  /** Batches that were accepted but neither delivered nor set aside, and answers OK without an effect. */
  readonly lost: readonly string[];
  /** Calls that took effect more than once, or under two keys. */
  readonly doubled: readonly string[];
  /** Calls with two answers, and batches with two jobs or with deliveries that differ. */
  readonly changed: readonly string[];
  /** Effects of a `write` that were reported as a failure, and of another call as unknown. */
  readonly untrue: readonly string[];
  /** Calls without an answer, or with one that nothing explains. */
  readonly unanswered: readonly string[];
}

/** Number of final answers of each kind. */
export type Ends = Readonly<Record<"ok" | "failed" | "uncertain", number>>;

/** The answers that callers and platform received. */
export interface History {
  readonly ends: Ends;
  /** Jobs by run. */
  readonly accepted: ReadonlyMap<string, { readonly jobId: string; readonly calls: readonly Call[] }>;
  answered(call: Call, answer: Answer): void;
  acknowledged(runId: string, jobId: string, calls: readonly Call[]): void;
  /** Records a call or batch without an answer in time. */
  unanswered(id: string, last: string): void;
  judge(effects: ReadonlyMap<string, Effects>, deliveries: ReadonlyMap<string, Delivered>, dead: Dead): Verdict;
}

/** Reasons of dead letters, by job id. */
export type Dead = ReadonlyMap<string, string>;

/** Creates an empty history. */
export function createHistory(): History {
  const lastAnswers = new Map<string, { readonly tool: Call["tool"]; final: string | undefined; last: Answer }>();
  const accepted = new Map<string, { jobId: string; calls: readonly Call[] }>();
  const ends = { ok: 0, failed: 0, uncertain: 0 };
  const changed: string[] = [];
  const unanswered: string[] = [];

  function answered({ id, tool }: Call, answer: Answer): void {
    if (answer.kind === "again") return;
    const final = finalOf(tool, answer);
    const before = lastAnswers.get(id);
    if (before === undefined) {
      ends[answer.kind] += 1;
      lastAnswers.set(id, { tool, final, last: answer });
      return;
    }
    before.last = answer;
    if (final === undefined) return;
    // An unknown outcome may become known, once.
    const isSettled = before.final === "uncertain";
    if (before.final !== undefined && before.final !== final && !isSettled)
      changed.push(`${id} (${tool}) was answered ${before.final} and then ${final}`);
    before.final = final;
  }

  return {
    ends,
    accepted,
    answered,
    acknowledged(runId, jobId, calls) {
      const before = accepted.get(runId);
      if (before !== undefined && before.jobId !== jobId)
        changed.push(`${runId} became the jobs ${before.jobId} and ${jobId}`);
      accepted.set(runId, { jobId, calls });
    },
    unanswered: (id, last) => void unanswered.push(`${id}: ${last}`),
    judge(effects, deliveries, dead) {
      const lost: string[] = [];
      const untrue: string[] = [];
      for (const [runId, { jobId, calls }] of accepted) {
        const delivered = deliveries.get(jobId);
        if (delivered === undefined || delivered.taken === 0) {
          if (!dead.has(jobId)) lost.push(`${runId} was accepted as ${jobId} and never delivered`);
          continue;
        }
        const ids = delivered.outputs.map(({ id }) => id).join(" ");
        if (delivered.differs || delivered.runId !== runId || ids !== calls.map(({ id }) => id).join(" "))
          changed.push(`the deliveries of ${jobId} for ${runId} differ, or are of other calls`);
        for (const [index, call] of calls.entries()) {
          const answer = readAnswer(delivered.outputs[index]?.output ?? "");
          // A delivery is final: nobody can poll again.
          answered(call, answer.kind === "again" ? { kind: "failed", text: answer.text } : answer);
        }
      }
      const doubled = [...effects].flatMap(([id, { numbers, keys }]) =>
        numbers.length > 1 || keys.size > 1
          ? [`${id} took effect as ${numbers.join(", ")} under ${keys.size} keys`]
          : [],
      );
      for (const [id, { tool, final, last }] of lastAnswers) {
        const numbers = effects.get(id)?.numbers ?? [];
        if (tool !== "look" && last.kind === "ok" && !numbers.includes(last.number ?? 0))
          lost.push(
            `${id} (${tool}) was answered OK with ${last.number}, and has ${numbers.join(", ") || "no effect"}`,
          );
        if (tool.startsWith("put") && last.kind === "failed" && numbers.length > 0)
          untrue.push(`${id} (${tool}) took effect and was answered: ${last.text}`);
        if ((tool === "set" || tool === "look") && final === "uncertain") untrue.push(`${id} (${tool}) is not known`);
      }
      return { lost, doubled, changed, untrue, unanswered };
    },
  };
}

/** Returns the answer that may not change; undefined if a repeat of the call may run it again. */
function finalOf(tool: Call["tool"], answer: Answer): string | undefined {
  if (answer.kind === "ok") return answer.number === undefined ? "OK" : `OK with ${answer.number}`;
  if (answer.kind === "uncertain") return "uncertain";
  return answer.kind === "failed" && tool === "put" ? `failed: ${answer.text}` : undefined;
}
