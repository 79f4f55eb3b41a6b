import { openHttp1 } from "./http1.ts";
import { openHttp2 } from "./http2.ts";

/** The request that is sent to one program repeatedly. */
export interface Target {
  readonly port: number;
  readonly protocol: "http1" | "http2";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Returns the body of the request with this number. All bodies have the same length: ids are padded. */
  body(number: number): Buffer;
  /** A part of every good answer. */
  readonly marker: string;
}

/** A connection. `request` sends a request, and calls back with whether the answer was good. */
export interface Connection {
  request(body: Buffer, answered: (good: boolean) => void): void;
  close(): void;
}

/** The result of a load. */
export interface LoadResult {
  /** Good answers per second. */
  readonly perSecond: number;
  /** Processor time of the server per good answer, in microseconds. Unlike the rate, it is independent of other processes. */
  readonly cpuMicros: number;
  readonly bad: number;
  /** Share of one core that the server used. Well below 1, the load generator was the limit. */
  readonly serverBusy: number;
}

/** Opens connections to a target. */
export function openConnections(target: Target, count: number): Promise<Connection[]> {
  const open = target.protocol === "http1" ? openHttp1 : openHttp2;
  return Promise.all(Array.from({ length: count }, () => open(target)));
}

/** Creates numbers of requests that differ between runs of the benchmark, so that no call is a repeat. */
export function createNumbers(): () => number {
  let next = (Math.floor(Date.now() / 10) % 1e9) * 1000;
  return () => next++;
}

/** Keeps this number of requests in flight for some seconds after a warm-up, and counts the answers. */
export async function closedLoop(
  target: Target,
  options: {
    connections: number;
    perConnection: number;
    seconds: number;
    warmSeconds: number;
    number: () => number;
    cpuSeconds: () => number;
  },
): Promise<LoadResult> {
  const connections = await openConnections(target, options.connections);
  let good = 0;
  let bad = 0;
  let stopping = false;
  let inFlight = 0;
  let idle: (() => void) | undefined;
  const askOn = (connection: Connection): void => {
    inFlight += 1;
    connection.request(target.body(options.number()), answered);
    function answered(isGood: boolean): void {
      inFlight -= 1;
      if (isGood) good += 1;
      else bad += 1;
      if (!stopping) askOn(connection);
      else if (inFlight === 0) idle?.();
    }
  };
  for (const connection of connections) for (let each = 0; each < options.perConnection; each++) askOn(connection);
  // This process never sleeps: to wake a sleeping process would cost the server more per answer than to send it.
  const poll = (): void => {
    if (!stopping) setImmediate(poll);
  };
  poll();
  await warm(options.warmSeconds, () => good + bad);
  const before = good;
  const startedAt = performance.now();
  const serverCpu = options.cpuSeconds();
  await sleep(options.seconds * 1000);
  const seconds = (performance.now() - startedAt) / 1000;
  const answers = good - before;
  const used = options.cpuSeconds() - serverCpu;
  stopping = true;
  const { promise, resolve } = Promise.withResolvers<void>();
  idle = resolve;
  if (inFlight > 0) await Promise.race([promise, sleep(2000)]);
  for (const connection of connections) connection.close();
  return { perSecond: answers / seconds, cpuMicros: (used * 1e6) / answers, bad, serverBusy: used / seconds };
}

/** Sends requests at a steady rate, however long the answers take. Returns the latencies in milliseconds, ascending. */
export async function openLoop(
  target: Target,
  options: { connections: number; perSecond: number; seconds: number; warmSeconds: number; number: () => number },
): Promise<Float64Array> {
  const connections = await openConnections(target, options.connections);
  const free = [...connections];
  const waiting: number[] = [];
  const latencies: number[] = [];
  const startedAt = performance.now();
  const measuredFrom = startedAt + options.warmSeconds * 1000;
  const until = measuredFrom + options.seconds * 1000;
  const send = (connection: Connection, due: number): void => {
    connection.request(target.body(options.number()), () => {
      // The latency counts from the scheduled time, not from the sending: a stall delays all requests that are due.
      if (due >= measuredFrom) latencies.push(performance.now() - due);
      const next = waiting.shift();
      if (next === undefined) free.push(connection);
      else send(connection, next);
    });
  };
  let sent = 0;
  await new Promise<void>((resolve) => {
    const tick = (): void => {
      const now = performance.now();
      if (now >= until) return resolve();
      const due = Math.floor(((now - startedAt) / 1000) * options.perSecond);
      for (; sent < due; sent++) {
        const at = startedAt + (sent / options.perSecond) * 1000;
        const connection = free.pop();
        if (connection === undefined) waiting.push(at);
        else send(connection, at);
      }
      setImmediate(tick);
    };
    tick();
  });
  await sleep(300);
  for (const connection of connections) connection.close();
  return Float64Array.from(latencies).sort();
}

/** Warm-up: a server runs at full speed only when its code is compiled. On a busy machine that takes longer. */
const warmUp = { answers: 15_000, seconds: 8 };

async function warm(seconds: number, answers: () => number): Promise<void> {
  const startedAt = performance.now();
  await sleep(seconds * 1000);
  while (answers() < warmUp.answers && performance.now() - startedAt < warmUp.seconds * 1000) await sleep(100);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
