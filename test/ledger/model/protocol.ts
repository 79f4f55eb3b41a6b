import type { Step } from "./explore.ts";

/** The rules of docs/guarantees.md that can be taken away, to see that each is needed. */
export interface Rules {
  /** A write is taken over only once its run must have ended. */
  waitForEnd: boolean;
  /** Nothing of a run leaves after the time of its claim. */
  stopSending: boolean;
  /** `finish` is conditional on owner and attempt. */
  fence: boolean;
  /** Whoever is superseded answers with what is stored. */
  answerStored: boolean;
  /** Only the owner of the run that an UNCERTAIN stands for may settle it. */
  settleOwnRun: boolean;
  /** A former owner that knows the end settles an UNCERTAIN. */
  settle: boolean;
  /** An own running entry that no claim holds is given back. */
  orphans: boolean;
  /** An intent whose run does not start is released. */
  release: boolean;
  /** A failure that is not stored yet is not told: another may run the call again. */
  hideUnstoredFailure: boolean;
  /** An entry that the store has lost is written anew with its outcome. */
  writeAnew: boolean;
}

export const allRules: Rules = {
  waitForEnd: true,
  stopSending: true,
  fence: true,
  answerStored: true,
  settleOwnRun: true,
  settle: true,
  orphans: true,
  release: true,
  hideUnstoredFailure: true,
  writeAnew: true,
};

/** How often each fault happens at most, and how often the call is made. */
export interface Faults {
  crash: number;
  freeze: number;
  /** A process that cannot reach the store and goes on otherwise. */
  cut: number;
  /** An intent whose caller is refused and whose commit may still come. */
  lateCommit: number;
  /** A downstream whose answer is lost; the function may return after all. */
  lostAnswer: number;
  /** An outcome that waits for the store. */
  deferred: number;
  /** An intent whose run fails to start. */
  noStart: number;
  /** A store that loses a running entry. */
  loss: number;
  calls: number;
}

/** What a call came to: the run that is known to have taken effect; 0 for nothing yet, or one of the two below. */
type Value = number;

interface Entry {
  owner: number;
  attempt: number;
  takenOver: boolean;
  run: number;
  state: "running" | "done" | "uncertain";
  value: Value;
  /** Its run must have ended. */
  over: boolean;
}

interface Process {
  alive: boolean;
  frozen: boolean;
  cut: boolean;
  /** Others have missed its heartbeats. */
  judgedDead: boolean;
  phase: "idle" | "claimed" | "heir" | "sent" | "knows" | "waits";
  attempt: number;
  run: number;
  /** The time of its claim is over. */
  over: boolean;
  value: Value;
  /** A claim that is neither finished nor released. */
  leaked: number;
}

/** One call, two processes, a store and a downstream. */
export interface State {
  entry: Entry | null;
  processes: [Process, Process];
  attempts: number;
  inFlight: number[];
  /** Runs that took effect. */
  effects: number[];
  late: { owner: number; attempt: number } | null;
  deferred: { owner: number; attempt: number; run: number; value: Value } | null;
  left: Faults;
  /** The definitive answer that somebody got, or 0. */
  told: Value;
  /** Somebody who did not run the call said UNCERTAIN: check, and then it does not happen any more. */
  toldToCheck: boolean;
  wrong: string;
}

const nobody = -1;
const uncertain: Value = -1;
/** The function has failed before it sent anything. */
const failed: Value = -2;

export function startState(faults: Faults): State {
  const process: Process = {
    alive: true,
    frozen: false,
    cut: false,
    judgedDead: false,
    phase: "idle",
    attempt: 0,
    run: 0,
    over: false,
    value: 0,
    leaked: 0,
  };
  return {
    entry: null,
    processes: [{ ...process }, { ...process }],
    attempts: 0,
    inFlight: [],
    effects: [],
    late: null,
    deferred: null,
    left: faults,
    told: 0,
    toldToCheck: false,
    wrong: "",
  };
}

/** Everything that may happen next. `reconciles`: the tool's author can tell whether the call took effect. */
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
        begin(next, index, ++next.attempts);
      });
      if (state.left.lateCommit > 0 && state.late === null)
        may(`${name} gives up a begin`, (next) => {
          next.left.calls -= 1;
          next.left.lateCommit -= 1;
          next.late = { owner: index, attempt: ++next.attempts };
        });
    }
    if (reaches) may(`${name} recovers`, (next) => recover(next, index));
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
          if (rules.release) release(next, index, process.attempt);
          else mine(next).leaked = process.attempt;
        });
    }
    if (reaches && process.phase === "heir") {
      const landed = state.effects.at(-1);
      if (reconciles && landed !== undefined)
        may(`${name} learns that it happened`, (next) => know(mine(next), landed));
      else if (reconciles) may(`${name} learns that it did not happen, and restarts`, (next) => restart(next, index));
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
    if (reaches && process.phase === "knows") may(`${name} finishes`, (next) => finish(next, index));
    if (acts && process.phase === "knows" && state.left.deferred > 0 && state.deferred === null)
      may(`${name} answers before its outcome is stored`, (next) => {
        const { attempt, run, value } = process;
        next.left.deferred -= 1;
        next.deferred = { owner: index, attempt, run, value };
        tell(next, value === failed && rules.hideUnstoredFailure ? uncertain : value, false);
        mine(next).phase = "idle";
        mine(next).leaked = attempt;
      });
    if (reaches && state.deferred?.owner === index)
      may(`${name}'s outcome is stored`, (next) => {
        const { attempt, run, value } = next.deferred as NonNullable<State["deferred"]>;
        store(next, index, attempt, run, value);
        mine(next).leaked = 0;
        next.deferred = null;
      });
    if (reaches && process.phase === "waits") {
      if (state.effects.includes(process.run))
        may(`${name}'s function returns after all`, (next) => {
          mine(next).phase = "idle";
          store(next, index, process.attempt, process.run, process.run);
        });
      may(`${name}'s function never returns`, (next) => void (mine(next).phase = "idle"));
    }
  }

  if (state.late !== null)
    may("a begin is committed that nobody waits for", (next) => {
      const { owner, attempt } = next.late as NonNullable<State["late"]>;
      next.late = null;
      acquire(next, owner, attempt);
    });
  for (const run of state.inFlight)
    may(`run ${run} takes effect`, (next) => {
      next.inFlight.splice(next.inFlight.indexOf(run), 1);
      next.effects.push(run);
      if (next.effects.length > 1) next.wrong = "two effects";
      else if (next.told === failed) next.wrong = "an effect after somebody was told that it failed";
      else if (next.toldToCheck) next.wrong = "an effect after somebody was told to check";
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

  /** Stores the intent, or takes the entry over. What is answered where neither is possible is `undefined`. */
  function acquire(next: State, owner: number, attempt: number): "new" | "abandoned" | undefined {
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

  function isOrphan(next: State, index: number): boolean {
    const known = next.entry;
    if (!rules.orphans || known?.state !== "running" || known.owner !== index) return false;
    const { phase, attempt, leaked } = next.processes[index as 0 | 1];
    return known.attempt !== leaked && (phase === "idle" || phase === "waits" || known.attempt !== attempt);
  }

  function begin(next: State, index: number, attempt: number): void {
    const process = next.processes[index as 0 | 1];
    process.judgedDead = false;
    if (isOrphan(next, index)) release(next, index, (next.entry as Entry).attempt);
    const acquired = acquire(next, index, attempt);
    if (acquired !== undefined) {
      const phase = acquired === "new" ? "claimed" : "heir";
      Object.assign(process, { phase, attempt, run: (next.entry as Entry).run, over: false });
    } else if (next.entry?.state !== "running") tell(next, next.entry?.value ?? 0, false);
  }

  function recover(next: State, index: number): void {
    const process = next.processes[index as 0 | 1];
    process.judgedDead = false;
    if (isOrphan(next, index)) return release(next, index, (next.entry as Entry).attempt);
    if (process.phase !== "idle" || next.entry === null) return;
    const attempt = next.attempts + 1;
    if (acquire(next, index, attempt) !== "abandoned") return;
    next.attempts = attempt;
    Object.assign(process, { phase: "heir", attempt, run: next.entry.run, over: false });
  }

  function release(next: State, index: number, attempt: number): void {
    const known = next.entry;
    if (known?.state !== "running" || known.owner !== index || known.attempt !== attempt) return;
    if (known.takenOver) known.owner = nobody;
    else next.entry = null;
  }

  function restart(next: State, index: number): void {
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

  function finish(next: State, index: number): void {
    const process = next.processes[index as 0 | 1];
    const { attempt, run, value } = process;
    const ran = next.effects.includes(run) || next.inFlight.includes(run);
    const stored = store(next, index, attempt, run, value);
    if (stored === value || !rules.answerStored) tell(next, value, !ran);
    else if (stored !== 0) tell(next, stored, false);
    if (value > 0 && next.entry === null) next.wrong = "an acknowledged outcome is gone";
    process.phase = value === uncertain ? "waits" : "idle";
  }

  /** Ends the entry where that is allowed. Answers what is stored now, 0 where it runs. */
  function store(next: State, index: number, attempt: number, run: number, value: Value): Value {
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
}

function know(process: Process, value: Value): void {
  process.phase = "knows";
  process.value = value;
}

/** A caller gets this answer. */
function tell(state: State, value: Value, withoutRun: boolean): void {
  if (value === uncertain) {
    if (withoutRun) state.toldToCheck = true;
    return;
  }
  if (value === 0) return;
  if (state.told !== 0 && state.told !== value) state.wrong = "two definitive answers";
  if (value === failed && state.effects.length > 0) state.wrong = "a failure is told of what happened";
  if (value !== failed && state.effects.length === 0) state.wrong = "an OK without an effect";
  state.told = value;
}

/** The time of a claim ends before that of its entry, and a request that left in time has arrived by then. */
function mayBeOver(state: State, { owner, attempt, run }: Entry): boolean {
  if (state.inFlight.includes(run)) return false;
  const process = owner === nobody ? undefined : state.processes[owner as 0 | 1];
  const holds = process?.alive === true && process.attempt === attempt && process.phase !== "idle";
  return !holds || process.over;
}

function cloneOf(state: State): State {
  return {
    ...state,
    entry: state.entry && { ...state.entry },
    processes: [{ ...state.processes[0] }, { ...state.processes[1] }],
    inFlight: [...state.inFlight],
    effects: [...state.effects],
    late: state.late && { ...state.late },
    deferred: state.deferred && { ...state.deferred },
    left: { ...state.left },
  };
}

/** Names runs and attempts by their order in the state, so that states that differ in names only are one. */
function canonical(state: State): State {
  const names = new Map<number, number>();
  const renamed = (id: number): number => {
    if (id <= 0) return id;
    const name = names.get(id) ?? names.size + 1;
    names.set(id, name);
    return name;
  };
  state.effects = state.effects.map(renamed);
  state.inFlight = state.inFlight.map(renamed);
  state.told = renamed(state.told);
  for (const process of state.processes) {
    if (process.phase === "idle") Object.assign(process, { attempt: 0, run: 0, over: false, value: 0 });
  }
  for (const part of [state.entry, ...state.processes, state.late, state.deferred]) {
    for (const field of ["attempt", "run", "value", "leaked"] as const) {
      if (part !== null && field in part) Object.assign(part, { [field]: renamed(Reflect.get(part, field) as number) });
    }
  }
  state.attempts = names.size;
  return state;
}
