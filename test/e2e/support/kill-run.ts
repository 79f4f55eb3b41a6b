import { setTimeout as wait } from "node:timers/promises";
import { expect } from "vitest";
import { findingsFrom, outputsFrom } from "../../../src/cli/sim/history.ts";
import { type ReceivedDelivery, startReceiver } from "../../../src/cli/sim/receiver.ts";
import { createRandom } from "../../../src/sandbox/random.ts";
import { type Downstream, startDownstream } from "./downstream.ts";
import { rpc } from "../../support/http-client.ts";
import { type Load, startLoad, uncertain } from "./load.ts";
import { type Service, startService, testPlugins } from "./service.ts";
import { until } from "./until.ts";

/** The events while the load continues. */
export interface KillRun {
  readonly seed: string;
  readonly kills: number;
  /** Number of processes; more than one need an engine. */
  readonly replicas: number;
  readonly engineUrl?: string;
  /** Another fault before some of the kills. */
  readonly trouble?: (kill: number) => Promise<void>;
}

/**
 * Puts the service under load, kills it at random moments, starts it again, and then checks the histories of platform and
 * downstream. Fails if a promise is broken, or if too little happened to prove anything.
 */
export async function killRun({ seed, kills, replicas, engineUrl, trouble }: KillRun): Promise<void> {
  const random = createRandom(seed);
  const deliveries: ReceivedDelivery[] = [];
  await using downstream = await startDownstream();
  await using platform = await startReceiver({
    port: 0,
    faults: { cut: 0.02, "429": 0.01, "503": 0.01, "401": 0.01 },
    random: createRandom(`${seed} platform`),
    onDelivery: (delivery) => void deliveries.push(delivery),
  });
  await using stack = new AsyncDisposableStack();
  const options = {
    // Writes in progress are settled when they must have ended: a short deadline keeps the run short.
    config: { plugins: testPlugins(downstream.url, 1500), sandbox: false },
    env: {
      GENESYS_API_BASE_URL: platform.url,
      GENESYS_CLIENT_ID: "sim",
      GENESYS_CLIENT_SECRET: "sim",
      ...(engineUrl !== undefined && { JACKFIELD_ENGINE_URL: engineUrl }),
    },
  };
  const services = await Promise.all(Array.from({ length: replicas }, () => startService(options)));
  for (const service of services) stack.use(service);
  let turn = 0;
  const load = startLoad({ seed, lanes: 12, target: () => services[(turn += 1) % replicas]!.url });

  let midWork = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const before = load.acknowledged.length;
    await until("work is acknowledged since the last kill", () => load.acknowledged.length > before + 5, 30_000);
    await trouble?.(kill);
    await until("the downstream is at work", () => downstream.busy > 0, 30_000);
    await wait(random.between(0, 150));
    if (downstream.busy > 0) midWork += 1;
    const victim = random.pick(services as [Service, ...Service[]]);
    await victim.kill();
    await victim.start();
    if (kills >= 50 && kill % 10 === 9) console.log(`${kill + 1} kills, ${load.acknowledged.length} acknowledged`);
  }
  await load.finish();
  await settled(load, deliveries, services[0] as Service);
  judge({ load, deliveries, downstream, kills, midWork, storeFails: trouble !== undefined });
}

/** Waits until everything acknowledged is delivered. Jobs that were set aside as suspects are retried, as by an operator. */
async function settled(load: Load, deliveries: readonly ReceivedDelivery[], service: Service): Promise<void> {
  const wanted = new Set(load.acknowledged.map(({ jobId }) => jobId));
  const delivered = (): Set<string> => new Set(deliveries.filter(({ status }) => status === 200).map(({ key }) => key));
  const done = async (): Promise<boolean> => {
    const missing = wanted.difference(delivered());
    for (const id of missing) {
      const { body } = await rpc(service.url, "Jobs/GetJob", { id });
      if (JSON.stringify(body).includes("JOB_STATE_DEAD")) await rpc(service.url, "Jobs/RetryJob", { id });
    }
    return missing.size === 0;
  };
  // The checker reports missing deliveries better than this wait could.
  await until("everything acknowledged is delivered", done, 100_000).catch(() => {});
}

interface Evidence {
  readonly load: Load;
  readonly deliveries: readonly ReceivedDelivery[];
  readonly downstream: Downstream;
  readonly kills: number;
  readonly midWork: number;
  /** The store itself was unavailable at times. */
  readonly storeFails: boolean;
}

function judge({ load, deliveries, downstream, kills, midWork, storeFails }: Evidence): void {
  const { acknowledged, callbacks } = load;
  const findings = findingsFrom({ acknowledged, deliveries, effects: downstream.requests });
  expect(findings.faults).toEqual([]);
  expect(load.contradictions).toEqual([]);
  // Only an answer that was sent before store and process died one after the other may be taken back.
  expect(load.takenBack.slice(storeFails ? Math.ceil(kills / 20) : 0)).toEqual([]);
  expect(findings.delivered).toBe(findings.acknowledged);

  const requests = Map.groupBy(downstream.requests, ({ callId }) => callId);
  const outputs = new Map([
    ...deliveries.flatMap(({ body }) => outputsFrom(body)).map(({ id, output }) => [id, output] as const),
    ...callbacks,
  ]);
  const untrue: string[] = [];
  let doubts = 0;
  for (const [callId, output] of outputs) {
    const effect = requests.get(callId)?.[0]?.effect;
    if (output.includes(uncertain)) {
      doubts += 1;
      continue;
    }
    if (output.includes('"number"')) {
      if (effect === undefined) untrue.push(`${callId} was answered ${output} and never took effect`);
    } else if (effect !== undefined) untrue.push(`${callId} took effect and was answered ${output}`);
  }
  expect(untrue).toEqual([]);
  // Each key of an idempotent call belongs to one call, and each call has one key.
  expect(new Set(downstream.idempotent.values()).size).toBe(downstream.idempotent.size);

  // The test is meaningful only if work was in progress when the process died.
  expect(midWork).toBeGreaterThanOrEqual(Math.ceil(kills / 2));
  expect(findings.acknowledged).toBeGreaterThanOrEqual(kills * 5);
  expect(callbacks.size).toBeGreaterThanOrEqual(kills);
  expect(load.repeated).toBeGreaterThanOrEqual(1);
  expect([...requests.values()].filter(([first]) => first?.effect === "write").length).toBeGreaterThanOrEqual(
    kills * 2,
  );
  if (process.env["JACKFIELD_KILLS"] !== undefined) {
    const { length } = downstream.requests;
    const { delivered, repeated } = findings;
    console.log(
      JSON.stringify({
        kills,
        midWork,
        acknowledged: findings.acknowledged,
        delivered,
        deliveredAgain: repeated,
        callbacks: callbacks.size,
        effectRequests: length,
        doubts,
        doubted: load.takenBack.length,
        sentAgain: load.repeated,
      }),
    );
  }
}
