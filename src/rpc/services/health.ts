import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { HealthCheckResponse_ServingStatus as Status, type Health } from "../../../gen/health/v1/health_pb.ts";
import { kConnection } from "../rpc-call.ts";
import { rpcCall } from "./check-request.ts";

/** Whether the service accepts work, and notifications of changes. */
export interface Serving {
  serving(): boolean;
  /** Calls `listener` at each change. Returns a function that removes it. */
  onChange(listener: () => void): () => void;
}

/** Limits of Watch. Callers without a key may use it, and each open stream takes memory. */
export interface WatchLimits {
  readonly streams: number;
  readonly streamsPerConnection: number;
  /** Maximum duration of a stream, in milliseconds. Clients then watch again. */
  readonly streamMs: number;
}

const defaultLimits: WatchLimits = { streams: 100, streamsPerConnection: 2, streamMs: 600_000 };

/** Creates the implementation of grpc.health.v1, for the whole service (`""`) and for each service by name. */
export function createHealth(
  serving: Serving,
  services: readonly string[],
  limits: WatchLimits = defaultLimits,
): ServiceImpl<typeof Health> {
  const known = new Set(["", ...services]);
  const status = () => (serving.serving() ? Status.SERVING : Status.NOT_SERVING);
  const openWatch = createWatchSlots(limits);
  return {
    check({ service }) {
      if (!known.has(service)) throw new ConnectError(`unknown service ${JSON.stringify(service)}`, Code.NotFound);
      return { status: status() };
    },

    list() {
      const statuses = Object.fromEntries([...known].map((service) => [service, { status: status() }]));
      return { statuses };
    },

    async *watch({ service }, context) {
      const closeWatch = openWatch(context.values.get(kConnection));
      let wake = Promise.withResolvers<void>();
      const ending = new AbortController();
      const end = () => {
        ending.abort();
        wake.resolve();
      };
      const timer = setTimeout(end, limits.streamMs);
      timer.unref();
      const unsubscribe = rpcCall(context).subscribe(end);
      const stop = serving.onChange(() => wake.resolve());
      try {
        let last: Status | undefined;
        while (!ending.signal.aborted) {
          const now = known.has(service) ? status() : Status.SERVICE_UNKNOWN;
          if (now !== last) yield { status: now };
          last = now;
          await wake.promise;
          wake = Promise.withResolvers<void>();
        }
      } finally {
        clearTimeout(timer);
        unsubscribe();
        stop();
        closeWatch();
      }
    },
  };
}

/**
 * Creates the counter of open Watch streams. It acquires a slot and returns a function that releases it; throws
 * resource_exhausted if there is none.
 */
function createWatchSlots({ streams, streamsPerConnection }: WatchLimits) {
  let open = 0;
  const perConnection = new WeakMap<object, number>();
  return (connection: object | undefined): (() => void) => {
    const own = connection === undefined ? 0 : (perConnection.get(connection) ?? 0);
    if (open >= streams || own >= streamsPerConnection) {
      throw new ConnectError("too many health watches are open: use Check, or close one", Code.ResourceExhausted);
    }
    open += 1;
    if (connection !== undefined) perConnection.set(connection, own + 1);
    return () => {
      open -= 1;
      if (connection !== undefined) perConnection.set(connection, (perConnection.get(connection) ?? 1) - 1);
    };
  };
}
