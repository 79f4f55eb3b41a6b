/** The rules of docs/guarantees.md, which can be disabled one by one to prove that each is needed. */
export interface Rules {
  /** A write is taken over only when its run must have ended. */
  waitForEnd: boolean;
  /** A run sends nothing after the time of its claim. */
  stopSending: boolean;
  /** `finish` is conditional on owner and attempt. */
  fence: boolean;
  /** A superseded owner answers with the stored result. */
  answerStored: boolean;
  /** Only the owner of the run that an UNCERTAIN represents may settle it. */
  settleOwnRun: boolean;
  /** A former owner that knows the end settles an UNCERTAIN. */
  settle: boolean;
  /** An own running entry without a claim is released. */
  orphans: boolean;
  /** An intent whose run does not start is released. */
  release: boolean;
  /** An outcome is durable before anybody receives it. */
  durableFirst: boolean;
  /** An entry that the store has lost is written again with its outcome. */
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
  durableFirst: true,
  writeAnew: true,
};

/** Maximum number of each fault, and the number of calls. */
export interface Faults {
  crash: number;
  freeze: number;
  /** A process that cannot reach the store and otherwise continues. */
  cut: number;
  /** An intent whose caller is refused and whose commit may still happen. */
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

/** The result of a call: the run that took effect; 0 for nothing yet, or one of the two below. */
export type Value = number;

export interface Entry {
  owner: number;
  attempt: number;
  takenOver: boolean;
  run: number;
  state: "running" | "done" | "uncertain";
  value: Value;
  /** Its run must have ended. */
  over: boolean;
}

export interface Process {
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
  /** The definitive answer that a caller received, or 0. */
  answered: Value;
  /** A process that did not run the call answered UNCERTAIN: check, and then it does not happen any more. */
  toldUncertain: boolean;
  wrong: string;
}

export const nobody = -1;
export const uncertain: Value = -1;
/** The function failed before it sent anything. */
export const failed: Value = -2;

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
    answered: 0,
    toldUncertain: false,
    wrong: "",
  };
}

export function know(process: Process, value: Value): void {
  process.phase = "knows";
  process.value = value;
}

/** Gives this answer to a caller. */
export function answer(state: State, value: Value, withoutRun: boolean): void {
  if (value === uncertain) {
    if (state.answered !== 0) state.wrong = "a definitive answer became UNCERTAIN";
    if (withoutRun) state.toldUncertain = true;
    return;
  }
  if (value === 0) return;
  if (state.answered !== 0 && state.answered !== value) state.wrong = "two definitive answers";
  if (value === failed && state.effects.length > 0) state.wrong = "a failure is told of what happened";
  if (value !== failed && state.effects.length === 0) state.wrong = "an OK without an effect";
  state.answered = value;
}

/** The time of a claim ends before that of its entry, and a request that was sent in time has arrived by then. */
export function mayBeOver(state: State, { owner, attempt, run }: Entry): boolean {
  if (state.inFlight.includes(run)) return false;
  const process = owner === nobody ? undefined : state.processes[owner as 0 | 1];
  const holds = process?.alive === true && process.attempt === attempt && process.phase !== "idle";
  return !holds || process.over;
}

export function cloneOf(state: State): State {
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

/** Names runs and attempts by their order in the state, so that states that differ only in names are one. */
export function canonical(state: State): State {
  const names = new Map<number, number>();
  const renamed = (id: number): number => {
    if (id <= 0) return id;
    const name = names.get(id) ?? names.size + 1;
    names.set(id, name);
    return name;
  };
  state.effects = state.effects.map(renamed);
  state.inFlight = state.inFlight.map(renamed);
  state.answered = renamed(state.answered);
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
