import { HttpError, isHttpError } from "../plugin/http-error.ts";
import { isToolError, ToolError } from "../plugin/tool-error.ts";
import type { HttpRequest, ToolLog } from "../plugin/tool.ts";

/** Where an isolated plugin comes from, and its configuration. */
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
}

/** What an isolate is asked to do, by the function of the plugin that does it, each with its input. */
export interface IsolateRequests {
  /** Loads the module and runs its `open`. May be asked again where it failed. */
  open: IsolationSetup;
  ready: undefined;
  close: undefined;
  execute: IsolatedCall;
  reconcile: IsolatedCall;
}

/** Something thrown, in a form that crosses threads and processes. */
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

/** How a request ended. */
export type RequestEnd =
  | { readonly kind: "returned"; readonly json: string }
  | { readonly kind: "unserializable" }
  | { readonly kind: "threw"; readonly thrown: Thrown };

/** A message from an isolate. `id` is that of the request that it belongs to. */
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
      /** JSON text of the request's `json`. */
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
  /** A report (progress or log) has been taken. */
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
