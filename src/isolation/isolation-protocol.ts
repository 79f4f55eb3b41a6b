import { HttpError, isHttpError } from "../plugin/http-error.ts";
import { isToolError, ToolError } from "../plugin/tool-error.ts";
import type { HttpRequest, ToolLog } from "../plugin/tool.ts";

/** Location of an isolated plugin, and its configuration. */
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
  /** Start of the run that `reconcile` is called for, in Unix milliseconds. */
  readonly startedAt?: number;
}

/** The requests to an isolate, by the plugin's function, with their inputs. */
export interface IsolateRequests {
  /** Loads the module and runs its `open`. Repeatable after a failure. */
  open: IsolationSetup;
  ready: undefined;
  close: undefined;
  execute: IsolatedCall;
  reconcile: IsolatedCall;
}

/** A thrown value in a form that can be sent between threads and processes. */
export interface Thrown {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** Whether its message is written for the model. */
  readonly forModel: boolean;
  /** Whether it is an HttpError. */
  readonly http: boolean;
  /** HTTP status, if a downstream answered. */
  readonly status?: number | undefined;
}

/** The result of a request. */
export type RequestEnd =
  | { readonly kind: "returned"; readonly json: string }
  | { readonly kind: "unserializable" }
  | { readonly kind: "threw"; readonly thrown: Thrown };

/** A message from an isolate. `id` identifies the request that it belongs to. */
export type FromIsolate = { readonly id: number } & (
  | { readonly kind: "started" }
  | { readonly kind: "ended"; readonly end: RequestEnd }
  | { readonly kind: "progress"; readonly message?: string; readonly fraction?: number }
  | {
      readonly kind: "log";
      readonly level: keyof ToolLog;
      readonly message: string;
      readonly fields: Record<string, unknown> | undefined;
    }
  | {
      readonly kind: "http";
      readonly request: number;
      readonly url: string;
      readonly options: Omit<HttpRequest, "json">;
      /** The request's `json` as JSON text. */
      readonly json: string | undefined;
    }
);

/** A message to an isolate. */
export type ToIsolate = { readonly id: number } & (
  | {
      [Method in keyof IsolateRequests]: {
        readonly kind: "request";
        readonly method: Method;
        readonly input: IsolateRequests[Method];
      };
    }[keyof IsolateRequests]
  | { readonly kind: "abort"; readonly name: string; readonly message: string }
  /** A report (progress or log line) has been processed. */
  | { readonly kind: "taken" }
  | {
      readonly kind: "answer";
      readonly request: number;
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly text: string;
    }
  | { readonly kind: "failure"; readonly request: number; readonly thrown: Thrown }
);

/** Converts a thrown value to a form that can be sent. DANGER: reading what a tool throws may throw again. */
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

/** Restores the error from a sent value. */
export function errorFromThrown({ name, message, stack, forModel, http, status }: Thrown): Error {
  if (http) return new HttpError(message, { status });
  if (forModel) return new ToolError(message);
  return Object.assign(new Error(message), { name, ...(stack !== undefined && { stack }) });
}
