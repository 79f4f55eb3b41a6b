import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { toJson } from "@bufbuild/protobuf";
import { ValueSchema } from "@bufbuild/protobuf/wkt";
import type { Tool as ToolMessage } from "../../gen/jackfield/v1/tool_pb.ts";
import { ToolPlugin } from "../../gen/jackfield/v1/tool_plugin_pb.ts";
import type { GrpcTarget } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import type { AddressGuard } from "../outbound/address-guard.ts";
import { tlsProblem } from "../config/tls-problem.ts";
import { DownstreamError, networkError } from "../outbound/downstream-error.ts";
import { reportTlsProblem } from "../outbound/sender.ts";
import { excerpt } from "../outbound/redact.ts";
import type { SentRequests } from "../outbound/sent-requests.ts";
import { logRetries, pauseBeforeRetry } from "../outbound/retry.ts";
import type { JsonObject } from "../plugin/tool.ts";
import { ToolError } from "../plugin/tool-error.ts";
import { attributes } from "../telemetry/attributes.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { type CallSession, fencedManager, type GrpcSessions } from "./grpc-sessions.ts";
import type { TargetBinding, Target, TargetContext } from "./target.ts";
import { TargetError } from "./target.ts";
import { visibleText } from "../json/visible-text.ts";

/** Timeout for a target to describe its tool, in milliseconds. */
const describeTimeoutMs = 3000;

/** Maximum length of an error that is passed to the model, in characters. */
const maxErrorCharacters = 2000;

/** How much earlier than ours the transport's deadline may fire, in milliseconds. */
const deadlineSlackMs = 50;

const method = `${ToolPlugin.typeName}/Execute`;

/** Dependencies of gRPC targets. */
export interface GrpcTargetParts {
  readonly guard: AddressGuard;
  readonly sessions: GrpcSessions;
  readonly telemetry: Pick<Telemetry, "inject" | "begin">;
  /** Maximum size of a target's response message, in bytes. */
  readonly readMaxBytes: number;
  /** Random number from 0 to 1. */
  readonly random: () => number;
  /** Called when a TLS connection fails, with a hint for the operator. */
  readonly onTlsProblem?: ((origin: string, problem: string) => void) | undefined;
}

/** Creates a target for a gRPC server that implements ToolPlugin. Throws a TargetError for an unusable address. */
export function createGrpcTarget({ address, tls }: GrpcTarget, parts: GrpcTargetParts): Target {
  const url = urlOf(address, tls);
  try {
    parts.guard.checkHost(url.hostname);
  } catch (cause) {
    throw new TargetError(`target.grpc.address cannot be used: ${(cause as Error).message}`, { cause });
  }
  const session = parts.sessions.take(url);
  const clientOver = (sessionManager: CallSession) =>
    createClient(
      ToolPlugin,
      createGrpcTransport({ baseUrl: url.origin, sessionManager, readMaxBytes: parts.readMaxBytes }),
    );
  const client = clientOver(session.manager);

  /** Makes one attempt, in its own client span if the call is traced. */
  async function runOnce(
    args: JsonObject,
    context: TargetContext,
    binding: TargetBinding,
    deadline: number,
  ): Promise<unknown> {
    const { trace } = context;
    if (trace === undefined) return send(args, context, binding, deadline);
    const { context: traced, span } = parts.telemetry.begin(method, trace, () => ({
      kind: SpanKind.CLIENT,
      attributes: {
        ...context.attributes,
        [attributes.rpcSystem]: "grpc",
        [attributes.rpcMethod]: method,
        "server.address": url.hostname,
        "server.port": Number(url.port) || (tls ? 443 : 80),
      },
    }));
    try {
      return await send(args, context, binding, deadline, parts.telemetry.inject(traced));
    } catch (reason) {
      span?.setStatus({ code: SpanStatusCode.ERROR });
      throw reason;
    } finally {
      span?.end();
    }
  }

  async function send(
    args: JsonObject,
    context: TargetContext,
    { name }: TargetBinding,
    deadline: number,
    headers?: Record<string, string>,
  ): Promise<unknown> {
    const { signal, callId, idempotencyKey, conversationId = "", sessionId = "", sent } = context;
    if (sent !== undefined) sent.used = true;
    const until = Math.min(deadline, context.sendUntil ?? Infinity);
    const events = clientOver(fencedManager(session.manager, until, sent)).execute(
      { name, arguments: args, callId, idempotencyKey, conversationId, sessionId },
      {
        signal,
        timeoutMs: Math.max(1, Math.ceil(deadline - performance.now())),
        ...(headers !== undefined && { headers }),
      },
    );
    for await (const { event } of events) {
      if (event.case === "progress") context.progress({ message: event.value.message, fraction: event.value.fraction });
      if (event.case === "output") return toJson(ValueSchema, event.value);
      if (event.case === "error") throw new ToolError(errorText(event.value));
    }
    throw new DownstreamError("content", "External API ended the call without an answer.");
  }

  /** Returns the error of a failed call. */
  function failure(reason: unknown): ToolError {
    reportTlsProblem(reason, url.origin, parts.onTlsProblem);
    return callError(reason);
  }

  async function describe(): Promise<ToolMessage | undefined> {
    const ended = session.begin();
    try {
      return (await client.describe({}, { timeoutMs: describeTimeoutMs })).tool;
    } catch (cause) {
      throw new TargetError(`target.grpc: Describe failed: ${failure(cause).message}`, { cause });
    } finally {
      ended();
    }
  }

  return {
    label: `${tls ? "grpcs" : "grpc"}://${url.host}`,
    secrets: [],
    async run(args, context, served) {
      const { signal } = context;
      const deadline = performance.now() + served.timeoutMs;
      const rule = {
        policy: undefined,
        repeatable: served.effect !== "write",
        deadline,
        signal,
        random: parts.random,
        onRetry: logRetries(() => context.log, url.origin),
      };
      const ended = session.begin();
      try {
        for (let retry = 0; ; retry += 1) {
          try {
            return await runOnce(args as JsonObject, context, served, deadline);
          } catch (reason) {
            // Both have the same deadline: the executor's own reports TIMED_OUT.
            if (isDeadline(reason) && performance.now() >= deadline - deadlineSlackMs) await aborted(signal);
            signal.throwIfAborted();
            await pauseBeforeRetry(rule, retry, noted(failure(reason), context.sent));
          }
        }
      } finally {
        ended();
      }
    },
    describe,
    release: () => session.release(),
  };
}

/** Returns the text of an error event as the model reads it. Cleaning after cutting removes half a character at the end. */
function errorText(text: string): string {
  return visibleText(text.slice(0, maxErrorCharacters)) || "External API returned an error without a text.";
}

/** Records that a call was rejected and has changed nothing. */
function noted(error: ToolError, sent: SentRequests | undefined): ToolError {
  const refused = error instanceof DownstreamError && error.problem === "status";
  if (refused && error.status !== undefined) sent?.answered(error.status);
  return error;
}

function urlOf(address: string, tls: boolean): URL {
  const url = /^(?:\[[0-9a-f:.]+\]|[^\s:/?#@[\]]+):\d{1,5}$/i.test(address)
    ? URL.parse(`${tls ? "https" : "http"}://${address}`)
    : null;
  if (url === null) throw new TargetError("target.grpc.address is not host:port");
  return url;
}

/**
 * The codes that mean that nothing was executed, with the corresponding HTTP statuses, if the target has sent them. A 429
 * is retried.
 */
const refusals: ReadonlyMap<Code, number> = new Map([
  [Code.InvalidArgument, 400],
  [Code.OutOfRange, 400],
  [Code.FailedPrecondition, 400],
  [Code.Unauthenticated, 401],
  [Code.PermissionDenied, 403],
  [Code.NotFound, 404],
  [Code.Unimplemented, 404],
  [Code.AlreadyExists, 409],
  [Code.ResourceExhausted, 429],
]);

/** Returns the error of a failed call, with a message that is safe to show to the model. */
function callError(reason: unknown): ToolError {
  if (reason instanceof ToolError) return reason;
  const refusal = refusalIn(reason);
  if (refusal !== undefined) return refusal;
  const error = ConnectError.from(reason);
  const { code, rawMessage } = error;
  const unconnected = isUnconnected(reason);
  if (unconnected || code === Code.Unavailable) return networkError(reason, !unconnected);
  if (!isAnswer(error)) {
    return new DownstreamError("content", `External API gave no usable answer: ${excerpt(rawMessage)}`, {
      cause: reason,
    });
  }
  const message = `External API returned ${Code[code]}: ${excerpt(rawMessage)}`;
  return new DownstreamError("status", message, { status: refusals.get(code) ?? 500, cause: reason });
}

/**
 * Reports whether an error has arrived as a gRPC status, or as the HTTP status of a proxy. The client uses the same codes
 * for its own errors, such as an answer that is too large or cut off: they do not tell what the target has done.
 */
function isAnswer({ isWireError, rawMessage }: ConnectError): boolean {
  return isWireError || /^HTTP \d{3}$/.test(rawMessage);
}

function isDeadline(reason: unknown): boolean {
  return reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
}

/** Resolves when the signal has fired, shortly after the deadline at the latest. */
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

/** Reports whether no connection was established, so that nothing can have been sent. */
function isUnconnected(reason: unknown): boolean {
  if (tlsProblem(reason, "") !== undefined) return true;
  for (let cause = reason; cause instanceof Error; cause = cause.cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === "ECONNREFUSED" || code === "ENOTFOUND" || code === "EHOSTUNREACH" || code === "ENETUNREACH")
      return true;
  }
  return false;
}

/** Finds a rejection by our own guard anywhere in the chain of causes. */
function refusalIn(reason: unknown): DownstreamError | undefined {
  for (let cause = reason; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof DownstreamError && (cause.problem === "refused" || cause.problem === "late")) return cause;
  }
  return undefined;
}
