import { StoreUnavailableError } from "./store-errors.ts";

/** Stands before a server: while the server does not answer, requests are refused at once instead of waiting. */
export interface StoreCircuit {
  /** Makes a request. Rejects with a StoreUnavailableError. */
  request<T>(send: () => Promise<T>): Promise<T>;
  /** Notes a problem, or that there is none. */
  report(problem: string | undefined): void;
  /** Why the server cannot be used, for the operator; undefined while it can. */
  problem(): string | undefined;
  /** Probes the server at once, and from then on by itself. */
  probe(): Promise<void>;
  close(): void;
}

/** Pause between two probes, in milliseconds. */
export const probeIntervalMs = 500;

/** Creates the circuit, open (refusing) until the first probe. */
export function createStoreCircuit(options: {
  /** The problem before the first answer. */
  initialProblem: string;
  /** Asks the server for a sign of life. */
  probe(): Promise<void>;
  /** Describes an error for the operator. */
  describe(cause: unknown): string;
  /** True for an error that means that the server cannot be reached or is silent: then the circuit opens. */
  isAbsence(cause: unknown): boolean;
  /** True for an error by which the server itself says that it has not carried the request out. */
  isRefusal?(cause: unknown): boolean;
  /** Called after each failed probe with the number of those in a row. */
  onFailedProbe?(failures: number): void;
  /** Called with each problem, once, and with `undefined` when it has gone. */
  onProblem?: ((problem: string | undefined) => void) | undefined;
}): StoreCircuit {
  let problem: string | undefined = options.initialProblem;
  let failures = 0;
  let closed = false;
  let probing: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  function report(next: string | undefined): void {
    if (next === problem || closed) return;
    problem = next;
    options.onProblem?.(next);
  }

  /** Probes that are asked for at the same time are one. */
  async function probe(): Promise<void> {
    if (closed) return;
    probing ??= probeOnce();
    await probing;
  }

  async function probeOnce(): Promise<void> {
    clearTimeout(timer);
    try {
      await options.probe();
      failures = 0;
      report(undefined);
    } catch (cause) {
      failures += 1;
      report(options.describe(cause));
      if (!closed) options.onFailedProbe?.(failures);
    }
    probing = undefined;
    if (!closed) timer = setTimeout(() => void probe(), probeIntervalMs);
  }

  return {
    async request(send) {
      if (problem !== undefined || closed)
        throw new StoreUnavailableError(problem ?? "the store is closed", { untouched: true });
      try {
        return await send();
      } catch (cause) {
        if (cause instanceof StoreUnavailableError) throw cause;
        if (options.isAbsence(cause)) report(options.describe(cause));
        const untouched = options.isRefusal?.(cause) ?? false;
        throw new StoreUnavailableError(options.describe(cause), { untouched, cause });
      }
    },
    report,
    problem: () => problem,
    probe,
    close: () => {
      closed = true;
      clearTimeout(timer);
    },
  };
}
