import type { Logger } from "pino";

/** The steps of a shutdown, in order. */
export interface ShutdownSteps {
  /** Turns readiness off. New work is still accepted. */
  unready(): void;
  /** Rejects new work. */
  drain(): void;
  /** Waits for running calls and closes everything. The signal fires when the grace period is over: then abort them. */
  close(expired: AbortSignal): Promise<void>;
}

/** Options of a shutdown. */
export interface ShutdownOptions {
  readonly log: Logger;
  /** Ends the process; `process.exit` outside of tests. */
  exit(code: number): void;
  /** How long new work is accepted after readiness is off, in milliseconds; 0 by default. */
  readonly delayMs?: number;
  /** Grace period for running calls in milliseconds; 30,000 by default. */
  readonly graceMs?: number;
  /** Time for closing after the grace period, in milliseconds; 5000 by default. */
  readonly closeMs?: number;
}

/** The shutdown on signals. */
export interface Shutdown {
  /** Handles a signal: the first starts the shutdown, the second exits with 130 at once. */
  take(signal: string): void;
  /** Listens for SIGTERM and SIGINT. Returns a function that stops listening. */
  listen(target: SignalTarget): () => void;
}

/** The source of signals: `process`. */
export interface SignalTarget {
  on(signal: "SIGTERM" | "SIGINT", take: (signal: string) => void): unknown;
  off(signal: "SIGTERM" | "SIGINT", take: (signal: string) => void): unknown;
}

/** Creates the shutdown. It exits with 0 when its steps are done, with 1 when they fail or time out. */
export function createShutdown(steps: ShutdownSteps, options: ShutdownOptions): Shutdown {
  const { log, exit, delayMs = 0, graceMs = 30_000, closeMs = 5000 } = options;
  let started = false;

  const run = async (signal: string): Promise<void> => {
    log.info({ signal, delayMs }, "shutting down: running calls finish first; a second signal stops at once");
    steps.unready();
    // The load balancer must notice that the service is not ready before requests are rejected.
    if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
    const expired = new AbortController();
    let stuck: NodeJS.Timeout | undefined;
    const grace = setTimeout(() => {
      log.warn({ graceMs }, "calls still running at the end of the grace time are stopped");
      expired.abort();
      stuck = setTimeout(() => {
        log.error({ closeMs }, "the shutdown does not finish: giving up");
        exit(1);
      }, closeMs);
    }, graceMs);
    try {
      steps.drain();
      await steps.close(expired.signal);
      log.info("stopped");
      exit(0);
    } catch (error) {
      log.error({ err: error }, "the shutdown failed");
      exit(1);
    } finally {
      clearTimeout(grace);
      clearTimeout(stuck);
    }
  };

  const take = (signal: string): void => {
    if (started) return exit(130);
    started = true;
    void run(signal);
  };

  return {
    take,
    listen(target) {
      target.on("SIGTERM", take);
      target.on("SIGINT", take);
      return () => {
        target.off("SIGTERM", take);
        target.off("SIGINT", take);
      };
    },
  };
}
