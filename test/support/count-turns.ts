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
