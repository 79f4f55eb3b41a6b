import { vi } from "vitest";

/** Counts the turns of the event loop until it is disposed of. */
export interface TurnCounter extends Disposable {
  /** Number of turns since the start. */
  readonly turn: number;
}

/** Starts to count. */
export function countTurns(): TurnCounter {
  let turn = 0;
  let running = true;
  const count = (): void => {
    turn += 1;
    if (running) setImmediate(count);
  };
  setImmediate(count);
  return {
    get turn() {
      return turn;
    },
    [Symbol.dispose]() {
      running = false;
    },
  };
}

/** Arguments that take long to read, by a clock that only they advance. */
export interface SlowArguments extends TurnCounter {
  readonly args: object;
  /** The turns in which they were read. */
  readonly turns: readonly number[];
}

/** Creates arguments of which each reading takes `ms` milliseconds. Replaces `performance.now` until it is disposed of. */
export function slowArguments(ms: number): SlowArguments {
  let now = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
  const counter = countTurns();
  const turns: number[] = [];
  const args = {
    get a() {
      now += ms;
      return turns.push(counter.turn);
    },
  };
  return {
    args,
    turns,
    get turn() {
      return counter.turn;
    },
    [Symbol.dispose]() {
      counter[Symbol.dispose]();
      clock.mockRestore();
    },
  };
}
