/** An injected failure of a request. */
export interface Fault {
  /** Delay before the request is processed, in milliseconds. */
  readonly delayMs: number;
  /** Status to answer instead of processing the request. Undefined: process it. */
  readonly status: number | undefined;
  /** Value of `Retry-After`, sent unchanged: seconds, an HTTP date or nonsense. */
  readonly retryAfter: string | undefined;
  /** Process the request, then break the connection in the middle of the response. */
  readonly cut: boolean;
  /** Number of affected requests. */
  readonly times: number;
}

/** A fault for upcoming requests. A `path` that ends in `*` matches every path with that prefix. */
export interface PlannedFault extends Fault {
  readonly path: string;
  readonly method: string | undefined;
}

/** Decides which requests fail. */
export interface Faults {
  /**
   * Returns the fault of this request and consumes it; undefined if there is none. `header` is the request's
   * `Sandbox-Fault`.
   */
  take(request: { method: string; path: string; header: string | undefined }): Fault | undefined;
  /**
   * Plans a fault for upcoming requests, from the body of `POST /_faults`. Throws a RangeError that describes the
   * problem.
   */
  plan(body: unknown): PlannedFault;
  /** Returns the faults that have not been consumed yet. */
  planned(): readonly PlannedFault[];
  clear(): void;
}

const maxDelayMs = 120_000;

/**
 * Parses `delay=2000; status=503; retry-after=1; times=2; cut`. `retry-after-date=2` yields the HTTP date two seconds
 * ahead. Throws a RangeError that describes the problem.
 */
export function faultFromHeader(header: string, now: number): Fault {
  const settings: Record<string, unknown> = {};
  for (const part of header.split(";")) {
    const [name = "", ...rest] = part.split("=");
    if (name.trim() !== "") {
      settings[name.trim()] = rest.length === 0 ? true : rest.join("=").trim();
    }
  }
  return faultFromSettings(settings, now);
}

/** Creates the faults of one sandbox part: planned ones, and those given by header, whose uses are counted. */
export function createFaults(now: () => number): Faults {
  let waiting: PlannedFault[] = [];
  const hits = new Map<string, number>();

  const takePlanned = (method: string, path: string): Fault | undefined => {
    const index = waiting.findIndex((fault) => matches(fault, method, path));
    const found = waiting[index];
    if (found === undefined) {
      return undefined;
    }
    const left = found.times - 1;
    waiting = left > 0 ? waiting.with(index, { ...found, times: left }) : waiting.toSpliced(index, 1);
    return found;
  };

  return {
    take({ method, path, header }) {
      if (header === undefined) {
        return takePlanned(method, path);
      }
      const fault = faultFromHeader(header, now());
      const key = `${method} ${path} ${header}`;
      const before = hits.get(key) ?? 0;
      if (before >= fault.times) {
        hits.delete(key);
        return undefined;
      }
      if (fault.times !== Number.POSITIVE_INFINITY) {
        hits.set(key, before + 1);
      }
      return fault;
    },
    plan(body) {
      if (typeof body !== "object" || body === null || Array.isArray(body)) {
        throw new RangeError('a fault is a JSON object such as {"path":"/orders/*","status":503,"times":2}');
      }
      const { path, method, ...settings } = body as Record<string, unknown>;
      if (typeof path !== "string" || !path.startsWith("/")) {
        throw new RangeError("path must be a text that begins with /");
      }
      if (method !== undefined && typeof method !== "string") {
        throw new RangeError("method must be a text");
      }
      const planned = { ...faultFromSettings({ times: 1, ...settings }, now()), path, method: method?.toUpperCase() };
      waiting = [...waiting, planned];
      return planned;
    },
    planned: () => waiting,
    clear() {
      waiting = [];
      hits.clear();
    },
  };
}

function matches(fault: PlannedFault, method: string, path: string): boolean {
  const pathFits = fault.path.endsWith("*") ? path.startsWith(fault.path.slice(0, -1)) : path === fault.path;
  return pathFits && (fault.method === undefined || fault.method === method);
}

function faultFromSettings(settings: Record<string, unknown>, now: number): Fault {
  for (const name of Object.keys(settings)) {
    if (!["delay", "status", "retry-after", "retry-after-date", "times", "cut"].includes(name)) {
      throw new RangeError(`there is no fault ${name}: use delay, status, retry-after, retry-after-date, times, cut`);
    }
  }
  const ahead = wholeNumber(settings, "retry-after-date", -1_000_000, 1_000_000);
  const literal = settings["retry-after"];
  return {
    delayMs: wholeNumber(settings, "delay", 0, maxDelayMs) ?? 0,
    status: wholeNumber(settings, "status", 200, 599),
    retryAfter:
      ahead !== undefined
        ? new Date(now + ahead * 1000).toUTCString()
        : typeof literal === "string" || typeof literal === "number"
          ? String(literal)
          : undefined,
    cut: settings["cut"] !== undefined && settings["cut"] !== false && settings["cut"] !== "false",
    times: wholeNumber(settings, "times", 1, 1_000_000) ?? Number.POSITIVE_INFINITY,
  };
}

function wholeNumber(settings: Record<string, unknown>, name: string, low: number, high: number): number | undefined {
  const given = settings[name];
  if (given === undefined) {
    return undefined;
  }
  const value = typeof given === "string" && given !== "" ? Number(given) : given;
  if (typeof value !== "number" || !Number.isInteger(value) || value < low || value > high) {
    throw new RangeError(`${name} must be a whole number from ${low} to ${high}`);
  }
  return value;
}
