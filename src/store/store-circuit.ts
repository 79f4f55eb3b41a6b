import { StoreUnavailableError } from "./store-errors.ts";

/** Stands before a server: while the server does not answer, requests are refused at once instead of waiting. */
export interface StoreCircuit {
  /** Performs a request. Rejects with a StoreUnavailableError. */
  ask<T>(run: () => Promise<T>): Promise<T>;
  /** Notes a fault, or that there is none. */
  say(fault: string | undefined): void;
  fault(): string | undefined;
  /** Looks at once whether the server is there, and from then on by itself. */
  look(): Promise<void>;
  close(): void;
}

/** Pause between two looks whether the server is there, in milliseconds. */
export const lookMs = 500;

/** Creates the gate, shut at first. */
export function createStoreCircuit(options: {
  /** What is there before the first answer. */
  fault: string;
  /** Asks the server whether it is there. */
  probe(): Promise<void>;
  /** Says an error in words for the operator. */
  words(cause: unknown): string;
  /** Tells whether an error means that the server cannot be reached or is silent: then the gate shuts. */
  isAbsence(cause: unknown): boolean;
  /** Told how many looks in a row have failed. */
  onFailedLook?(times: number): void;
  /** Told of each fault, once, and `undefined` when it has gone. */
  onFault?: ((fault: string | undefined) => void) | undefined;
}): StoreCircuit {
  let fault: string | undefined = options.fault;
  let failed = 0;
  let closed = false;
  let looking: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  function say(next: string | undefined): void {
    if (next === fault || closed) return;
    fault = next;
    options.onFault?.(next);
  }

  /** Looks that are asked for at the same time are one. */
  async function look(): Promise<void> {
    if (closed) return;
    looking ??= lookOnce();
    await looking;
  }

  async function lookOnce(): Promise<void> {
    clearTimeout(timer);
    try {
      await options.probe();
      failed = 0;
      say(undefined);
    } catch (cause) {
      failed += 1;
      say(options.words(cause));
      options.onFailedLook?.(failed);
    }
    looking = undefined;
    if (!closed) timer = setTimeout(() => void look(), lookMs);
  }

  return {
    async ask(run) {
      if (fault !== undefined || closed)
        throw new StoreUnavailableError(fault ?? "the store is closed", { untouched: true });
      try {
        return await run();
      } catch (cause) {
        if (cause instanceof StoreUnavailableError) throw cause;
        if (options.isAbsence(cause)) say(options.words(cause));
        throw new StoreUnavailableError(options.words(cause), { cause });
      }
    },
    say,
    fault: () => fault,
    look,
    close: () => {
      closed = true;
      clearTimeout(timer);
    },
  };
}
