import { errorMessage } from "../error-message.ts";
import { withTimeout } from "../timing.ts";

/** The result of one check: problems make the service not ready, notes do not. */
export interface CheckResult {
  readonly problems: readonly string[];
  readonly notes: readonly string[];
}

/** The state of the service. */
export interface ReadyReport {
  readonly ready: boolean;
  readonly problems: string[];
  readonly notes: string[];
}

/** A check of one dependency, executed on demand. A rejection counts as a problem with the error's message. */
export interface ReadyCheck {
  /** Name of the checked part: `store`, `engine`, `tools`. */
  readonly name: string;
  run(): Promise<CheckResult> | CheckResult;
}

/** Whether the service accepts work. */
export interface Readiness {
  /** True as soon as new work is rejected. */
  readonly draining: boolean;
  /** False as soon as readiness is off. */
  serving(): boolean;
  /** Subscribes to readiness being turned off. Returns a function that ends the subscription. */
  onChange(listener: () => void): () => void;
  /** Turns readiness off permanently. New work is still accepted. */
  unready(): void;
  /** Turns readiness off and rejects new work. */
  drain(): void;
  report(): Promise<ReadyReport>;
}

/** Options of the checks. Durations are in milliseconds. */
export interface ReadinessOptions {
  /** Timeout of a check, which then counts as a problem; 1000 by default. */
  readonly timeoutMs?: number;
  /** How long a report is cached; 1000 by default. */
  readonly cacheMs?: number;
  /** A monotonic clock. */
  readonly now?: () => number;
  /** Removes secrets from texts, because everybody may read the report. */
  readonly redact?: (text: string) => string;
}

/** Combines checks into one report. Concurrent requests share one round of checks. */
export function createReadiness(checks: readonly ReadyCheck[], options: ReadinessOptions = {}): Readiness {
  const { timeoutMs = 1000, cacheMs = 1000, now = () => performance.now(), redact = (text) => text } = options;
  const listeners = new Set<() => void>();
  let ready = true;
  let cached: { report: Promise<ReadyReport>; until: number } | undefined;

  const checkAll = async (): Promise<ReadyReport> => {
    const results = await Promise.all(checks.map((check) => runCheck(check, timeoutMs)));
    const problems = results.flatMap((result) => result.problems).map(redact);
    const notes = results.flatMap((result) => result.notes).map(redact);
    return { ready: problems.length === 0, problems, notes };
  };

  const unready = (): void => {
    if (!ready) return;
    ready = false;
    for (const listen of listeners) listen();
  };

  const readiness = {
    draining: false,
    serving: () => ready,
    onChange(listener: () => void) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    unready,
    drain() {
      readiness.draining = true;
      unready();
    },
    async report(): Promise<ReadyReport> {
      if (!ready) return { ready: false, problems: ["the service is shutting down"], notes: [] };
      if (cached === undefined || now() >= cached.until) cached = { report: checkAll(), until: now() + cacheMs };
      const report = await cached.report;
      return { ready: report.ready, problems: [...report.problems], notes: [...report.notes] };
    },
  };
  return readiness;
}

async function runCheck(check: ReadyCheck, timeoutMs: number): Promise<CheckResult> {
  try {
    const late = () => new Error(`no answer within ${timeoutMs} ms`);
    return await withTimeout(Promise.resolve(check.run()), timeoutMs, late);
  } catch (error) {
    return { problems: [`${check.name}: ${errorMessage(error)}`], notes: [] };
  }
}
