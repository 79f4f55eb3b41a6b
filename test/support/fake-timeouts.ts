import { vi } from "vitest";

/** Control over the timers of one duration. */
export interface FakeTimeouts extends Disposable {
  /** Advances the time of these timers, and runs those that are due. */
  advance(ms: number): void;
}

/** Replaces the timers that are set for exactly this many milliseconds until disposal. All others run as usual. */
export function useFakeTimeouts(ms: number): FakeTimeouts {
  const pending = new Map<NodeJS.Timeout, { readonly run: () => void; readonly due: number }>();
  let now = 0;
  const { setTimeout: set, clearTimeout: clear } = globalThis;
  const setting = vi.spyOn(globalThis, "setTimeout").mockImplementation(((run: () => void, delay?: number) => {
    if (delay !== ms) return set(run, delay);
    const timer = set(() => {}, 2 ** 31 - 1).unref();
    pending.set(timer, { run, due: now + ms });
    return timer;
  }) as typeof setTimeout);
  const clearing = vi.spyOn(globalThis, "clearTimeout").mockImplementation((timer) => {
    pending.delete(timer as NodeJS.Timeout);
    clear(timer);
  });
  return {
    advance(step) {
      now += step;
      for (const [timer, { run, due }] of pending) {
        if (due > now) continue;
        clear(timer);
        pending.delete(timer);
        run();
      }
    },
    [Symbol.dispose]() {
      setting.mockRestore();
      clearing.mockRestore();
    },
  };
}
