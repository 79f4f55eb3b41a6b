import { vi } from "vitest";

/** The timeouts of `AbortSignal.timeout`, which pass only as far as a test lets them. */
export interface HeldTimeouts extends Disposable {
  /** Lets so many milliseconds pass, and aborts the signals whose time is up. */
  advance(ms: number): void;
}

/** Holds every `AbortSignal.timeout` made from now on, until it is disposed of. Those held then never fire. */
export function holdTimeouts(): HeldTimeouts {
  const held = new Map<AbortController, number>();
  let now = 0;
  const spy = vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const controller = new AbortController();
    held.set(controller, now + ms);
    return controller.signal;
  });
  return {
    advance(ms) {
      now += ms;
      for (const [controller, due] of held) {
        if (due > now) continue;
        held.delete(controller);
        controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError"));
      }
    },
    [Symbol.dispose]: () => spy.mockRestore(),
  };
}
