import { StoreUnavailableError } from "./store-errors.ts";

/** A circuit breaker before a server: while the server does not answer, requests fail at once instead of waiting. */
export interface StoreCircuit {
  /** Sends a request. Rejects with a StoreUnavailableError. */
  request<T>(send: () => Promise<T>): Promise<T>;
  /** Records a problem, or that there is none. */
  report(problem: string | undefined): void;
  /** The reason why the server is unusable, for the operator; undefined while it works. */
  problem(): string | undefined;
  /** Probes the server now; later probes follow automatically. */
  probe(): Promise<void>;
  close(): void;
}

/** Interval between two probes, in milliseconds. */
export const probeIntervalMs = 500;

/** Creates the circuit in its open state: requests are rejected until the first probe succeeds. */
export function createStoreCircuit(options: {
  /** The problem until the first answer. */
  initialProblem: string;
  /** Sends the server a trivial request. */
  probe(): Promise<void>;
  /** Describes an error for the operator. */
  describe(cause: unknown): string;
  /** Whether an error means that the server is unreachable or silent. Such an error opens the circuit. */
  isAbsence(cause: unknown): boolean;
  /** Whether an error is the server's own statement that it has not executed the request. */
  isRefusal?(cause: unknown): boolean;
  /** Called after each failed probe with the number of consecutive failures. */
  onFailedProbe?(failures: number): void;
  /** Called once with each problem, and with `undefined` when it is over. */
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

  /** Concurrent calls share one probe. */
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
