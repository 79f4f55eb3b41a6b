import type { Step } from "./explore.ts";
import { canonical, cloneOf, failed, know, mayBeOver, answer, uncertain } from "./state.ts";
import type { Entry, Process, Rules, State } from "./state.ts";
import { acquire, begin, finish, recover, release, restart, store } from "./transitions.ts";

/** Returns all possible next steps. `reconciles`: the tool can find out whether the call took effect. */
export function stepsFrom(state: State, rules: Rules, reconciles: boolean): Step<State>[] {
  const steps: Step<State>[] = [];
  if (state.wrong !== "") return steps;

  function may(name: string, change: (next: State) => void): void {
    const next = cloneOf(state);
    change(next);
    steps.push({ name, next: canonical(next) });
  }

  for (const [index, process] of state.processes.entries()) {
    const name = index === 0 ? "A" : "B";
    const mine = (next: State): Process => next.processes[index as 0 | 1];
    const reaches = process.alive && !process.frozen && !process.cut;
    const acts = process.alive && !process.frozen;

    if (process.alive && state.left.crash > 0)
      may(`${name} is killed`, (next) => {
        next.left.crash -= 1;
        Object.assign(mine(next), { alive: false, phase: "idle", leaked: 0, frozen: false, cut: false });
        if (next.deferred?.owner === index) next.deferred = null;
      });
    if (acts && state.left.freeze > 0)
      may(`${name} freezes`, (next) => {
        next.left.freeze -= 1;
        mine(next).frozen = true;
      });
    if (process.frozen) may(`${name} goes on`, (next) => void (mine(next).frozen = false));
    if (reaches && state.left.cut > 0)
      may(`${name} is cut off`, (next) => {
        next.left.cut -= 1;
        mine(next).cut = true;
      });
    if (process.cut) may(`${name} is connected again`, (next) => void (mine(next).cut = false));
    if (!reaches && !process.judgedDead) may(`${name} is judged dead`, (next) => void (mine(next).judgedDead = true));
    if (reaches && process.judgedDead) may(`${name} beats`, (next) => void (mine(next).judgedDead = false));

    const holds = process.phase === "claimed" || process.phase === "heir" || process.phase === "sent";
    if (process.alive && holds && !process.over)
      may(`${name}'s claim is over`, (next) => void (mine(next).over = true));

    if (reaches && process.phase === "idle" && state.left.calls > 0) {
      may(`${name} begins`, (next) => {
        next.left.calls -= 1;
        begin(rules, next, index, ++next.attempts);
      });
      if (state.left.lateCommit > 0 && state.late === null)
        may(`${name} gives up a begin`, (next) => {
          next.left.calls -= 1;
          next.left.lateCommit -= 1;
          next.late = { owner: index, attempt: ++next.attempts };
        });
    }
    if (reaches) may(`${name} recovers`, (next) => recover(rules, next, index));
    if (acts && process.phase === "claimed") {
      if (!rules.stopSending || !process.over)
        may(`${name} sends`, (next) => {
          mine(next).phase = "sent";
          next.inFlight.push(process.run);
        });
      may(`${name} fails before it sends`, (next) => know(mine(next), failed));
      if (reaches && (process.over || state.left.noStart > 0))
        may(`${name} does not start`, (next) => {
          if (!process.over) next.left.noStart -= 1;
          mine(next).phase = "idle";
          if (rules.release) release(rules, next, index, process.attempt);
          else mine(next).leaked = process.attempt;
        });
    }
    if (reaches && process.phase === "heir") {
      const landed = state.effects.at(-1);
      if (reconciles && landed !== undefined)
        may(`${name} learns that it happened`, (next) => know(mine(next), landed));
      else if (reconciles)
        may(`${name} learns that it did not happen, and restarts`, (next) => restart(rules, next, index));
      may(`${name} does not learn what happened`, (next) => know(mine(next), uncertain));
    }
    if (acts && process.phase === "sent") {
      if (state.effects.includes(process.run)) may(`${name} gets its answer`, (next) => know(mine(next), process.run));
      if (state.left.lostAnswer > 0)
        may(`${name} loses its answer`, (next) => {
          next.left.lostAnswer -= 1;
          know(mine(next), uncertain);
        });
    }
    if (reaches && process.phase === "knows") may(`${name} finishes`, (next) => finish(rules, next, index));
    if (acts && process.phase === "knows" && state.left.deferred > 0 && state.deferred === null)
      may(`${name} answers before its outcome is stored`, (next) => {
        const { attempt, run, value } = process;
        next.left.deferred -= 1;
        next.deferred = { owner: index, attempt, run, value };
        if (!rules.durableFirst) answer(next, value, false);
        mine(next).phase = "idle";
        mine(next).leaked = attempt;
      });
    if (reaches && state.deferred?.owner === index)
      may(`${name}'s outcome is stored`, (next) => {
        const { attempt, run, value } = next.deferred as NonNullable<State["deferred"]>;
        const stored = store(rules, next, index, attempt, run, value);
        if (rules.durableFirst && stored !== 0) answer(next, stored, false);
        mine(next).leaked = 0;
        next.deferred = null;
      });
    if (reaches && process.phase === "waits") {
      if (state.effects.includes(process.run))
        may(`${name}'s function returns after all`, (next) => {
          mine(next).phase = "idle";
          store(rules, next, index, process.attempt, process.run, process.run);
        });
      may(`${name}'s function never returns`, (next) => void (mine(next).phase = "idle"));
    }
  }

  if (state.late !== null)
    may("a begin is committed that nobody waits for", (next) => {
      const { owner, attempt } = next.late as NonNullable<State["late"]>;
      next.late = null;
      acquire(rules, next, owner, attempt);
    });
  for (const run of state.inFlight)
    may(`run ${run} takes effect`, (next) => {
      next.inFlight.splice(next.inFlight.indexOf(run), 1);
      next.effects.push(run);
      if (next.effects.length > 1) next.wrong = "two effects";
      else if (next.answered === failed) next.wrong = "an effect after somebody was told that it failed";
      else if (next.toldUncertain) next.wrong = "an effect after somebody was told to check";
    });
  const { entry } = state;
  if (entry?.state === "running" && !entry.over && mayBeOver(state, entry))
    may("the run must have ended", (next) => void ((next.entry as Entry).over = true));
  if (entry?.state === "running" && state.left.loss > 0)
    may("the store loses the entry", (next) => {
      next.left.loss -= 1;
      next.entry = null;
    });
  return steps;
}
