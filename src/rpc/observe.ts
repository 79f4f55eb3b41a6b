import { SpanKind, SpanStatusCode, type Context, type Span } from "@opentelemetry/api";
import type { DescMethod } from "@bufbuild/protobuf";
import { Code, type ConnectError } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { attributes } from "../telemetry/attributes.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

/** One RPC under observation. */
export interface Observation {
  /** What the work of the RPC hangs under. */
  readonly trace: Context | undefined;
  /** Records how the RPC ended; `undefined`: well. */
  end(error: ConnectError | undefined): void;
}

/** A call to observe. `system` undefined: a call inside the process, which has no span of its own. */
export interface ObservedCall {
  readonly method: DescMethod;
  readonly system: string | undefined;
  readonly parent: Context | undefined;
}

/** The name of a method on spans, metrics and audit lines. */
export function methodName({ parent, name }: DescMethod): string {
  return `${parent.typeName}/${name}`;
}

/** Starts to observe an RPC: a server span where spans are recorded, and `rpc.server.call.duration` at its end. */
export function startObservation(telemetry: Telemetry, { method, system, parent }: ObservedCall): Observation {
  const start = performance.now();
  const name = methodName(method);
  let trace = parent;
  let span: Span | undefined;
  if (system !== undefined && telemetry.tracing) {
    const started = telemetry.begin(name, parent, () => ({
      kind: SpanKind.SERVER,
      attributes: { [attributes.rpcSystem]: systemNames.get(system) ?? system, [attributes.rpcMethod]: name },
    }));
    trace = started.context;
    span = started.span;
  }
  return {
    trace,
    end(error) {
      const code = error === undefined ? "ok" : codeToString(error.code);
      telemetry.metrics.rpcServed({ method: name, code, seconds: (performance.now() - start) / 1000 });
      if (span === undefined) return;
      span.setAttribute(attributes.rpcStatus, code);
      if (error !== undefined && serverErrors.has(error.code)) span.setStatus({ code: SpanStatusCode.ERROR });
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
const serverErrors: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.DeadlineExceeded,
  Code.Unimplemented,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
]);
