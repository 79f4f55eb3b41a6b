import { vi } from "vitest";

/** Control over the timeouts of `AbortSignal.timeout`. */
export interface FakeTimeouts extends Disposable {
  /** Advances the time, and aborts the signals whose timeout is over. */
  advance(ms: number): void;
}

/** Replaces `AbortSignal.timeout` until disposal. Signals that are then left never fire. */
export function useFakeTimeouts(): FakeTimeouts {
  const pending = new Map<AbortController, number>();
  let now = 0;
  const spy = vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const controller = new AbortController();
    pending.set(controller, now + ms);
    return controller.signal;
  });
  return {
    advance(ms) {
      now += ms;
      for (const [controller, due] of pending) {
        if (due > now) continue;
        pending.delete(controller);
        controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError"));
      }
    },
    [Symbol.dispose]: () => spy.mockRestore(),
  };
}
