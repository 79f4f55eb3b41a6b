/** The result of a search over all interleavings. */
export interface Exploration {
  readonly states: number;
  /** The first violation, with the shortest path to it. */
  readonly violation: { readonly rule: string; readonly steps: readonly string[] } | undefined;
}

/** A possible next step. */
export interface Step<State> {
  readonly name: string;
  readonly next: State;
}

interface Found<State> {
  readonly state: State;
  readonly from: number;
  readonly step: string;
}

/**
 * Visits every reachable state, breadth first. `violationIn` describes what is wrong with a state; a state for which
 * `isSettled` holds must be reachable from every state for which `mustSettle` holds: otherwise somebody waits for ever.
 */
export function explore<State extends object>(options: {
  start: State;
  stepsFrom(state: State): Step<State>[];
  violationIn(state: State): string | undefined;
  isSettled(state: State): boolean;
  mustSettle(state: State): boolean;
}): Exploration {
  const { start, stepsFrom, violationIn, isSettled, mustSettle } = options;
  const found: Found<State>[] = [{ state: start, from: -1, step: "" }];
  const known = new Map([[JSON.stringify(start), 0]]);
  const before: number[][] = [[]];

  const stepsTo = (index: number): string[] => {
    const steps: string[] = [];
    for (let at = found[index]; at !== undefined && at.from >= 0; at = found[at.from]) steps.unshift(at.step);
    return steps;
  };

  for (let index = 0; index < found.length; index++) {
    const { state } = found[index] as Found<State>;
    const rule = violationIn(state);
    if (rule !== undefined) return { states: found.length, violation: { rule, steps: stepsTo(index) } };
    for (const { name, next } of stepsFrom(state)) {
      const key = JSON.stringify(next);
      let target = known.get(key);
      if (target === undefined) {
        target = found.push({ state: next, from: index, step: name }) - 1;
        known.set(key, target);
        before.push([]);
      }
      before[target]?.push(index);
    }
  }

  const settles = new Set<number>();
  const open = found.flatMap(({ state }, index) => (isSettled(state) ? [index] : []));
  for (let index = open.pop(); index !== undefined; index = open.pop()) {
    if (settles.has(index)) continue;
    settles.add(index);
    open.push(...(before[index] ?? []));
  }
  const stuck = found.findIndex(({ state }, index) => !settles.has(index) && mustSettle(state));
  const violation = stuck < 0 ? undefined : { rule: "a call waits for ever", steps: stepsTo(stuck) };
  return { states: found.length, violation };
}
