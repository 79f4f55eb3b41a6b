import { nobody, answer, uncertain } from "./state.ts";
import type { Entry, Rules, State, Value } from "./state.ts";

/** Stores the intent, or takes over the entry. Returns `undefined` if neither is possible. */
export function acquire(rules: Rules, next: State, owner: number, attempt: number): "new" | "abandoned" | undefined {
  const known = next.entry;
  if (known === null) {
    next.entry = { owner, attempt, takenOver: false, run: attempt, state: "running", value: 0, over: false };
    return "new";
  }
  const dead = known.owner === nobody || (known.owner !== owner && next.processes[known.owner as 0 | 1].judgedDead);
  if (known.state !== "running" || !dead || (rules.waitForEnd && !known.over)) return undefined;
  Object.assign(known, { owner, attempt, takenOver: true, over: false });
  return "abandoned";
}

export function isOrphan(rules: Rules, next: State, index: number): boolean {
  const known = next.entry;
  if (!rules.orphans || known?.state !== "running" || known.owner !== index) return false;
  const { phase, attempt, leaked } = next.processes[index as 0 | 1];
  return known.attempt !== leaked && (phase === "idle" || phase === "waits" || known.attempt !== attempt);
}

export function begin(rules: Rules, next: State, index: number, attempt: number): void {
  const process = next.processes[index as 0 | 1];
  process.judgedDead = false;
  if (isOrphan(rules, next, index)) release(rules, next, index, (next.entry as Entry).attempt);
  const acquired = acquire(rules, next, index, attempt);
  if (acquired !== undefined) {
    const phase = acquired === "new" ? "claimed" : "heir";
    Object.assign(process, { phase, attempt, run: (next.entry as Entry).run, over: false });
  } else if (next.entry?.state !== "running") answer(next, next.entry?.value ?? 0, false);
}

export function recover(rules: Rules, next: State, index: number): void {
  const process = next.processes[index as 0 | 1];
  process.judgedDead = false;
  if (isOrphan(rules, next, index)) return release(rules, next, index, (next.entry as Entry).attempt);
  if (process.phase !== "idle" || next.entry === null) return;
  const attempt = next.attempts + 1;
  if (acquire(rules, next, index, attempt) !== "abandoned") return;
  next.attempts = attempt;
  Object.assign(process, { phase: "heir", attempt, run: next.entry.run, over: false });
}

export function release(rules: Rules, next: State, index: number, attempt: number): void {
  const known = next.entry;
  if (known?.state !== "running" || known.owner !== index || known.attempt !== attempt) return;
  if (known.takenOver) known.owner = nobody;
  else next.entry = null;
}

export function restart(rules: Rules, next: State, index: number): void {
  const process = next.processes[index as 0 | 1];
  const known = next.entry;
  if (rules.fence && (known?.state !== "running" || known.owner !== index || known.attempt !== process.attempt)) {
    process.phase = "idle";
    return;
  }
  const run = ++next.attempts;
  if (known !== null) Object.assign(known, { run, over: false });
  Object.assign(process, { phase: "claimed", run, over: false });
}

export function finish(rules: Rules, next: State, index: number): void {
  const process = next.processes[index as 0 | 1];
  const { attempt, run, value } = process;
  const ran = next.effects.includes(run) || next.inFlight.includes(run);
  const stored = store(rules, next, index, attempt, run, value);
  if (stored === value || !rules.answerStored) answer(next, value, !ran);
  else if (stored !== 0) answer(next, stored, false);
  if (value > 0 && next.entry === null) next.wrong = "an acknowledged outcome is gone";
  process.phase = value === uncertain ? "waits" : "idle";
}

/** Ends the entry if that is allowed. Returns the stored result, 0 while it runs. */
export function store(rules: Rules, next: State, index: number, attempt: number, run: number, value: Value): Value {
  const known = next.entry;
  const state = value === uncertain ? "uncertain" : "done";
  if (known === null) {
    if (rules.writeAnew) next.entry = { owner: index, attempt, takenOver: false, run, state, value, over: true };
    return value;
  }
  const held = known.state === "running" && known.owner === index && known.attempt === attempt;
  const settles =
    rules.settle && known.state === "uncertain" && state === "done" && (!rules.settleOwnRun || known.run === run);
  if (!held && !settles && rules.fence) {
    if (known.state === "uncertain" && known.run === run && state === "done")
      next.wrong = "an UNCERTAIN stays although its owner knows better";
    return known.value;
  }
  if (known.state === "done" && known.value !== value) next.wrong = "a definitive answer was replaced";
  Object.assign(known, { owner: index, attempt, state, value });
  return value;
}
