import type { FaultPlan } from "../../../src/cli/sim/fault-plan.ts";
import { type ReceivedDelivery, type Receiver, startReceiver } from "../../../src/cli/sim/receiver.ts";
import { createRandom } from "../../../src/sandbox/random.ts";
import { type Downstream, startDownstream } from "./downstream.ts";
import { type Service, startService, testPlugins } from "./service.ts";

/** A service with its surroundings. The service can be started several times. */
export interface World extends AsyncDisposable {
  readonly downstream: Downstream;
  readonly platform: Receiver;
  readonly deliveries: readonly ReceivedDelivery[];
  /** Starts another process of the service. */
  start(over?: {
    readonly config?: Record<string, unknown>;
    readonly env?: Readonly<Record<string, string>>;
    readonly readyAtStart?: boolean;
    readonly command?: readonly [string, ...string[]];
  }): Promise<Service>;
}

/** Starts a back office, and a platform that accepts every delivery unless the plan says otherwise. */
export async function startWorld(faults: FaultPlan = {}): Promise<World> {
  const deliveries: ReceivedDelivery[] = [];
  const stack = new AsyncDisposableStack();
  const downstream = stack.use(await startDownstream());
  const onDelivery = (delivery: ReceivedDelivery): void => void deliveries.push(delivery);
  const platform = stack.use(
    await startReceiver({ port: 0, faults, random: createRandom("platform"), onDelivery, retryAfterSeconds: 1 }),
  );
  return {
    downstream,
    platform,
    deliveries,
    async start({ config = {}, env = {}, ...rest } = {}) {
      const service = await startService({
        config: { plugins: testPlugins(downstream.url), sandbox: false, ...config },
        env: { GENESYS_API_BASE_URL: platform.url, GENESYS_CLIENT_ID: "sim", GENESYS_CLIENT_SECRET: "sim", ...env },
        ...rest,
      });
      return stack.use(service);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
