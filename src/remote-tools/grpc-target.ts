import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import { ToolPlugin } from "../../gen/jackfield/v1/tool_plugin_pb.ts";
import type { GrpcTarget } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import type { AddressGuard } from "../outbound/address-guard.ts";
import { DownstreamError } from "../outbound/downstream-error.ts";
import { excerpt } from "../outbound/redact.ts";
import { withRetries } from "../outbound/retry.ts";
import type { JsonObject } from "../plugin/tool.ts";
import { ToolError } from "../plugin/tool-error.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { GrpcSession, GrpcSessions } from "./grpc-sessions.ts";
import type { TargetBinding, Target, TargetContext } from "./target.ts";
import { TargetError } from "./target.ts";
import { visibleText } from "../json/clean-text.ts";

/** How long a target may take to say what its tool is, in milliseconds. */
const describeWithinMs = 3000;

/** Longest error that is handed to the model, in characters. */
const longestError = 2000;

/** How much earlier than ours the transport's deadline may fire, in milliseconds. */
const deadlineSlackMs = 50;

/** What gRPC targets are made with. */
export interface GrpcTargetParts {
  readonly guard: AddressGuard;
  readonly sessions: GrpcSessions;
  readonly telemetry: Pick<Telemetry, "inject">;
  /** Longest message that a target may answer, in bytes. */
  readonly readMaxBytes: number;
  /** From 0 to 1. */
  readonly random: () => number;
}

/** A gRPC server that implements ToolPlugin as a target. Throws a TargetError for an address that cannot be used. */
export function createGrpcTarget({ address, tls }: GrpcTarget, parts: GrpcTargetParts): Target {
  const url = urlOf(address, tls);
  try {
    parts.guard.checkHost(url.hostname);
  } catch (cause) {
    throw new TargetError(`target.grpc.address cannot be used: ${(cause as Error).message}`, { cause });
  }
  const session = parts.sessions.take(url);
  const transport = createGrpcTransport({
    baseUrl: url.origin,
    sessionManager: session.manager,
    readMaxBytes: parts.readMaxBytes,
  });
  const client = createClient(ToolPlugin, transport);

  async function runOnce(
    args: JsonObject,
    context: TargetContext,
    { name }: TargetBinding,
    deadline: number,
  ): Promise<unknown> {
    const { signal, callId, idempotencyKey, conversationId = "", sessionId = "", trace } = context;
    const events = client.execute(
      { name, arguments: args, callId, idempotencyKey, conversationId, sessionId },
      {
        signal,
        timeoutMs: Math.max(1, Math.ceil(deadline - performance.now())),
        ...(trace !== undefined && { headers: parts.telemetry.inject(trace) }),
      },
    );
    for await (const { event } of events) {
      if (event.case === "progress") context.progress({ message: event.value.message, fraction: event.value.fraction });
      if (event.case === "output") return toJson(ValueSchema, event.value);
      if (event.case === "error") throw new ToolError(visibleText(event.value).slice(0, longestError));
    }
    throw new DownstreamError("content", "External API ended the call without an answer.");
  }

  return {
    label: `${tls ? "grpcs" : "grpc"}://${url.host}`,
    secrets: [],
    async run(args, context, served) {
      const { signal } = context;
      const deadline = performance.now() + served.timeoutMs;
      const rule = { policy: undefined, repeatable: served.effect !== "write", deadline, signal, random: parts.random };
      const ended = session.begin();
      try {
        return await withRetries(rule, () =>
          runOnce(args as JsonObject, context, served, deadline).catch(async (reason: unknown) => {
            // The same deadline twice: the executor's own says that the call is TIMED_OUT.
            if (isDeadline(reason) && performance.now() >= deadline - deadlineSlackMs) await aborted(signal);
            throw signal.aborted ? signal.reason : callError(reason);
          }),
        );
      } finally {
        ended();
      }
    },
    describe: () => describe(client, session),
    release: () => session.release(),
  };
}

async function describe(client: ReturnType<typeof createClient<typeof ToolPlugin>>, session: GrpcSession) {
  const ended = session.begin();
  try {
    return (await client.describe({}, { timeoutMs: describeWithinMs })).tool;
  } catch (cause) {
    throw new TargetError(`target.grpc: Describe failed: ${callError(cause).message}`, { cause });
  } finally {
    ended();
  }
}

function urlOf(address: string, tls: boolean): URL {
  const url = /^(?:\[[0-9a-f:.]+\]|[^\s:/?#@[\]]+):\d{1,5}$/i.test(address)
    ? URL.parse(`${tls ? "https" : "http"}://${address}`)
    : null;
  if (url === null) throw new TargetError("target.grpc.address is not host:port");
  return url;
}

/** A failed call in words that the model may read. */
function callError(reason: unknown): ToolError {
  if (reason instanceof ToolError) return reason;
  const refusal = refusalIn(reason);
  if (refusal !== undefined) return refusal;
  const { code, rawMessage } = ConnectError.from(reason);
  if (code === Code.Unavailable) {
    return new DownstreamError("network", "External API could not be reached.", {
      sent: !isUnconnected(reason),
      cause: reason,
    });
  }
  const words = `External API returned ${Code[code]}: ${excerpt(rawMessage)}`;
  // As with HTTP: only what says that nothing was done is asked again.
  const status = code === Code.ResourceExhausted ? 429 : 500;
  return new DownstreamError("status", words, { status, cause: reason });
}

function isDeadline(reason: unknown): boolean {
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
}

/** Resolves when the signal has fired, at the latest a little after the deadline. */
function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, deadlineSlackMs * 4);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

/** True where no connection came about, so that nothing can have been sent. */
function isUnconnected(reason: unknown): boolean {
  for (let cause = reason; cause instanceof Error; cause = cause.cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ECONNREFUSED" || code === "ENOTFOUND" || code === "EHOSTUNREACH" || code === "ENETUNREACH")
      return true;
  }
  return false;
}

/** The guard's refusal, wherever in the chain of causes it is. */
function refusalIn(reason: unknown): DownstreamError | undefined {
  for (let cause = reason; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof DownstreamError && cause.fault === "refused") return cause;
  }
  return undefined;
}
