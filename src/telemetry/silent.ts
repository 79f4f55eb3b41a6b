import { ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { pino } from "pino";
import type { Telemetry } from "./telemetry.ts";

/** Creates telemetry that discards everything, for tools under test. */
export function createSilentTelemetry(): Telemetry {
  const ignore = (): void => {};
  return {
    log: pino({ level: "silent" }),
    tracer: trace.getTracer("silent"),
    tracing: false,
    begin: (_name, parent) => ({ context: parent ?? ROOT_CONTEXT, span: undefined }),
    metrics: {
      executed: ignore,
      rpcServed: ignore,
      measureFor: () => ignore,
      delivered: ignore,
      accessRefused: ignore,
      breakerChanged: ignore,
      gauge: ignore,
    },
    audit: { write: ignore, executed: ignore, close: async () => {} },
    hide: ignore,
    hideToken: ignore,
    redact: (text) => text,
    prometheus: async () => "",
    extract: () => ROOT_CONTEXT,
    inject: () => ({}),
    flushLog: ignore,
    close: async () => {},
  };
}
