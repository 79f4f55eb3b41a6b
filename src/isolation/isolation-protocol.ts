import type { MessagePort } from "node:worker_threads";
import { HttpError, isHttpError } from "../plugin/http-error.ts";
import { isToolError, ToolError } from "../plugin/tool-error.ts";
import type { HttpRequest } from "../plugin/tool.ts";

/** What a worker needs to know before its first task. */
export interface IsolationSetup {
  /** URL of the plugin's module. */
  readonly url: string;
  readonly config: unknown;
}

/** One call of `execute` or `reconcile`. */
export interface IsolatedCall {
  readonly args: unknown;
  readonly callId: string;
  readonly idempotencyKey: string;
  readonly conversationId: string | undefined;
  readonly sessionId: string | undefined;
  readonly source: string;
  /** Unix time in milliseconds at which the run began that `reconcile` is asked about. */
  readonly startedAt?: number;
  /** For what goes to and fro while it runs. */
  readonly port: MessagePort;
}

/** Something thrown, in a form that crosses threads. */
export interface Thrown {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Its message is written for the model. */
  readonly forModel: boolean;
  /** It is an HttpError. */
  readonly http: boolean;
  /** HTTP status, where a downstream gave one. */
  readonly status?: number | undefined;
}

/** How a task ended. */
export type Ended =
  | { readonly kind: "returned"; readonly json: string }
  | { readonly kind: "unserializable" }
  | { readonly kind: "threw"; readonly thrown: Thrown }
  /** The plugin could not be loaded or opened in that worker. */
  | { readonly kind: "unopened"; readonly message: string };

/** What a running call tells. */
export type FromIsolated =
  | { readonly kind: "progress"; readonly message?: string; readonly fraction?: number }
  | {
      readonly kind: "log";
      readonly level: "debug" | "info" | "warn" | "error";
      readonly message: string;
      readonly fields: Record<string, unknown> | undefined;
    }
  | { readonly kind: "http"; readonly id: number; readonly url: string; readonly request: HttpRequest };

/** What a running call is told. */
export type ToIsolated =
  | { readonly kind: "abort"; readonly name: string; readonly message: string }
  | {
      readonly kind: "answer";
      readonly id: number;
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly text: string;
    }
  | { readonly kind: "fault"; readonly id: number; readonly thrown: Thrown };

/** A thrown value in a form that crosses threads. DANGER: reading what a tool throws may throw again. */
export function thrownFrom(reason: unknown): Thrown {
  try {
    const forModel = isToolError(reason);
    const http = isHttpError(reason);
    if (!(reason instanceof Error)) {
      return { name: typeof reason, message: String(reason), stack: undefined, forModel, http };
    }
    const status = "status" in reason && typeof reason.status === "number" ? reason.status : undefined;
    const stack = typeof reason.stack === "string" ? reason.stack : undefined;
    return { name: String(reason.name), message: String(reason.message), stack, forModel, http, status };
  } catch {
    return { name: "unreadable", message: "unreadable", stack: undefined, forModel: false, http: false };
  }
}

/** The error that a thrown value was. */
export function errorFromThrown({ name, message, stack, forModel, http, status }: Thrown): Error {
  if (http) return new HttpError(message, { status });
  if (forModel) return new ToolError(message);
  return Object.assign(new Error(message), { name, ...(stack !== undefined && { stack }) });
}
