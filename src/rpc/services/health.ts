import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import { HealthCheckResponse_ServingStatus as Status, type Health } from "../../../gen/health/v1/health_pb.ts";

/** Whether the service takes work, and when that changes. */
export interface Serving {
  serving(): boolean;
  /** Calls back at each change; returns what ends the subscription. */
  onChange(listener: () => void): () => void;
}

/** The implementation of grpc.health.v1 for the whole (`""`) and for each service named. */
export function createHealth(serving: Serving, services: readonly string[]): ServiceImpl<typeof Health> {
  const known = new Set(["", ...services]);
  const status = () => (serving.serving() ? Status.SERVING : Status.NOT_SERVING);
  return {
    check({ service }) {
      if (!known.has(service)) throw new ConnectError(`unknown service ${JSON.stringify(service)}`, Code.NotFound);
      return { status: status() };
    },

    list() {
      const statuses = Object.fromEntries([...known].map((service) => [service, { status: status() }]));
      return { statuses };
    },

    async *watch({ service }, { signal }) {
      let wake = Promise.withResolvers<void>();
      const end = () => wake.resolve();
      const stop = serving.onChange(end);
      signal.addEventListener("abort", end, { once: true });
      try {
        let last: Status | undefined;
        while (!signal.aborted) {
          const now = known.has(service) ? status() : Status.SERVICE_UNKNOWN;
          if (now !== last) yield { status: now };
          last = now;
          await wake.promise;
          wake = Promise.withResolvers<void>();
        }
      } finally {
        stop();
        signal.removeEventListener("abort", end);
      }
    },
  };
}
