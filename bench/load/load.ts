import { openHttp1 } from "./http1.ts";
import { openHttp2 } from "./http2.ts";

/** What one program is asked, over and over. */
export interface Target {
  readonly port: number;
  readonly protocol: "http1" | "http2";
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The body of the request with this number, always as long: ids are padded. */
  body(number: number): Buffer;
  /** What a good answer holds. */
  readonly marker: string;
}

/** One connection: `ask` sends a request and calls back with whether the answer was good. */
export interface Connection {
  ask(body: Buffer, answered: (good: boolean) => void): void;
  close(): void;
}

/** What a load came to. */
export interface Loaded {
  /** Good answers per second. */
  readonly perSecond: number;
  /** Processor time of the server per good answer, in microseconds: unlike the rate it does not suffer from other processes. */
  readonly cpuMicros: number;
  readonly bad: number;
  /** Share of one core that the server took: well below 1 the load generator was the limit. */
  readonly serverBusy: number;
}

/** Opens connections of a target. */
export function openConnections(target: Target, count: number): Promise<Connection[]> {
  const open = target.protocol === "http1" ? openHttp1 : openHttp2;
  return Promise.all(Array.from({ length: count }, () => open(target)));
}

/** Numbers of requests, different in every run of the benchmark, so that no call is a repeat. */
export function createNumbers(): () => number {
  let next = (Math.floor(Date.now() / 10) % 1e9) * 1000;
  return () => next++;
}

/** Keeps so many requests in flight for some seconds after a warm-up, and counts the answers. */
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
): Promise<Loaded> {
  const connections = await openConnections(target, options.connections);
  let good = 0;
  let bad = 0;
  let stopping = false;
  let inFlight = 0;
  let idle: (() => void) | undefined;
  const askOn = (connection: Connection): void => {
    inFlight += 1;
    connection.ask(target.body(options.number()), answered);
    function answered(isGood: boolean): void {
      inFlight -= 1;
      if (isGood) good += 1;
      else bad += 1;
      if (!stopping) askOn(connection);
      else if (inFlight === 0) idle?.();
    }
  };
  for (const connection of connections) for (let each = 0; each < options.perConnection; each++) askOn(connection);
  // Never asleep: waking a sleeping neighbour would cost the server more per answer than sending it, and only the slow one.
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

/** Asks at a steady rate, whatever the answers take, and returns the latencies in milliseconds, ascending. */
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
    connection.ask(target.body(options.number()), () => {
      // From when it was due, not from when it was sent: a stall counts for all who had to wait.
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

/** Warm-up: a server whose code is not compiled yet says nothing of what it can do. On a busy machine that takes longer. */
const warmEnough = { answers: 15_000, seconds: 8 };

async function warm(seconds: number, answers: () => number): Promise<void> {
  const startedAt = performance.now();
  await sleep(seconds * 1000);
  while (answers() < warmEnough.answers && performance.now() - startedAt < warmEnough.seconds * 1000) await sleep(100);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}
