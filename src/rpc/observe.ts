import { SpanKind, SpanStatusCode, type Context, type Span } from "@opentelemetry/api";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Telemetry } from "../telemetry/telemetry.ts";

/** One RPC under observation. */
export interface Observed {
  /** What the work of the RPC hangs under. */
  readonly trace: Context | undefined;
  /** Records how it was answered; `undefined`: well. */
  end(fault: ConnectError | undefined): void;
}

/** Starts to observe an RPC: a server span where spans are recorded, and `rpc.server.call.duration` at its end. */
export function observe(
  telemetry: Telemetry,
  method: DescMethod,
  system: string,
  parent: Context | undefined,
): Observed {
  const start = performance.now();
  const name = `${method.parent.typeName}/${method.name}`;
  let trace = parent;
  let span: Span | undefined;
  if (telemetry.tracing) {
    const begun = telemetry.begin(name, parent, () => ({
      kind: SpanKind.SERVER,
      attributes: { "rpc.system.name": systemNames.get(system) ?? system, "rpc.method": name },
    }));
    trace = begun.context;
    span = begun.span;
  }
  return {
    trace,
    end(fault) {
      const code = fault === undefined ? "ok" : codeToString(fault.code);
      telemetry.metrics.rpcServed({ method: name, code, seconds: (performance.now() - start) / 1000 });
      if (span === undefined) return;
      span.setAttribute("rpc.response.status_code", code);
      if (fault !== undefined && serverFaults.has(fault.code)) span.setStatus({ code: SpanStatusCode.ERROR });
      span.end();
    },
  };
}

const systemNames: ReadonlyMap<string, string> = new Map([
  ["connect", "connectrpc"],
  ["grpc", "grpc"],
  ["grpc-web", "grpc"],
]);

/** Codes that are the server's fault by the RPC conventions. */
const serverFaults: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);
