import type { IncomingHttpHeaders } from "node:http";
import type { ContextValues } from "@connectrpc/connect";
import type { Caller } from "../../auth/caller.ts";
import type { AdapterClients } from "../adapter.ts";

/** Who sent a message, and how it is answered. */
export interface Peer {
  readonly caller: Caller;
  readonly clients: AdapterClients;
  /** Headers of the HTTP request. Undefined over stdio. */
  readonly headers: IncomingHttpHeaders | undefined;
  /** Trace of the request, to be passed on with each RPC. */
  readonly values: ContextValues | undefined;
  /** Fires when the client has gone away or has cancelled the request. */
  readonly signal: AbortSignal;
  /** Ids of the message's call, once it is read: for log lines and the span of the request. */
  readonly about: { call?: string; conversation?: string };
  /** Takes notifications that come before the answer. Undefined where the client reads none. */
  readonly events: EventSink | undefined;
}

/** A stream of notifications to the client of one request. */
export interface EventSink {
  /** Writes a message. Its size is bounded by the request. */
  send(text: string): void;
  /** Writes a message unless the client is behind. Tells whether it was written. */
  offer(text: string): boolean;
}

/** The answer to a request: JSON text, and the HTTP status that goes with it. */
export interface McpAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}
