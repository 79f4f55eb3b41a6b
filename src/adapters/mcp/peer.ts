import type { IncomingHttpHeaders } from "node:http";
import type { ContextValues } from "@connectrpc/connect";
import type { Caller } from "../../auth/caller.ts";
import type { AdapterClients } from "../adapter.ts";

/** The sender of a message, and the means to answer it. */
export interface Peer {
  readonly caller: Caller;
  readonly clients: AdapterClients;
  /** Headers of the HTTP request. Undefined over stdio. */
  readonly headers: IncomingHttpHeaders | undefined;
  /** Trace of the request, passed to each RPC. */
  readonly values: ContextValues | undefined;
  /** Fires when the client has disconnected or has cancelled the request. */
  readonly signal: AbortSignal;
  /** Ids of the message's call for log lines and the request's span, set once the message is read. */
  readonly about: { call?: string; conversation?: string };
  /** Receives notifications that precede the answer. Undefined if the client reads none. */
  readonly events: EventSink | undefined;
}

/** A stream of notifications to the client of one request. */
export interface EventSink {
  /** Writes a message. The request bounds its size. */
  send(text: string): void;
  /** Writes a message, or drops it if the client is slow. Returns whether it was written. */
  offer(text: string): boolean;
}

/** The answer to a request: JSON text and the HTTP status. */
export interface McpAnswer {
  readonly status: number;
  readonly text: string;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}
