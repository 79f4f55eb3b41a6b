import { connect as connectPlain, isIP } from "node:net";
import { connect as connectTls } from "node:tls";
import { Http2SessionManager } from "@connectrpc/connect-node";
import type { AddressGuard } from "../outbound/address-guard.ts";
import { lateError } from "../outbound/downstream-error.ts";
import { defaultTrust, type Trust } from "../outbound/trust.ts";
import type { SentRequests } from "../outbound/sent-requests.ts";

/** The part of a session manager that a gRPC transport uses. */
export type CallSession = Pick<Http2SessionManager, "authority" | "request" | "notifyResponseByteRead">;

/** A connection to one server, shared by the tools on it. */
export interface GrpcSession {
  readonly manager: Http2SessionManager;
  /** Marks the start of a call. Call the returned function when the call has ended. */
  begin(): () => void;
  /** Releases the connection for one tool. It closes after the last tool and the last call. */
  release(): void;
}

/** The connections to all gRPC targets. */
export interface GrpcSessions {
  /** Returns the connection to `http://host:port` or `https://host:port`. Its first call opens it. */
  take(url: URL): GrpcSession;
  close(): void;
}

interface Entry {
  readonly manager: Http2SessionManager;
  tools: number;
  calls: number;
}

/**
 * Idle time after which a connection is verified before its next use, in milliseconds: firewalls drop idle connections
 * silently.
 */
const verifyAfterMs = 60_000;

/** Creates the connections. The guard resolves every name. */
export function createGrpcSessions(guard: AddressGuard, trust: Trust = defaultTrust): GrpcSessions {
  const entries = new Map<string, Entry>();

  function open(url: URL): Entry {
    const manager = new Http2SessionManager(
      url,
      { pingIntervalMs: verifyAfterMs, pingTimeoutMs: 1500, idleConnectionTimeoutMs: 300_000 },
      {
        createConnection: () => {
          const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
          const endpoint = {
            host,
            port: Number(url.port || (url.protocol === "http:" ? 80 : 443)),
            lookup: guard.lookup,
          };
          if (url.protocol === "http:") return connectPlain(endpoint);
          const secureContext = trust.contextFor(url.origin, false);
          return connectTls({
            ...endpoint,
            ALPNProtocols: ["h2"],
            ...(secureContext !== undefined && { secureContext }),
            ...(isIP(host) === 0 && { servername: host }),
          });
        },
      },
    );
    const entry = { manager, tools: 0, calls: 0 };
    entries.set(url.origin, entry);
    return entry;
  }

  return {
    take(url) {
      const entry = entries.get(url.origin) ?? open(url);
      entry.tools++;
      const settle = (): void => {
        if (entry.tools > 0 || entry.calls > 0) return;
        if (entries.get(url.origin) === entry) entries.delete(url.origin);
        entry.manager.abort();
      };
      return {
        manager: entry.manager,
        begin() {
          entry.calls++;
          return () => {
            entry.calls--;
            settle();
          };
        },
        release() {
          entry.tools--;
          settle();
        },
      };
    },
    close() {
      for (const { manager } of entries.values()) manager.abort();
      entries.clear();
    },
  };
}

/**
 * Creates a session manager for one call that cancels the request if it would be sent after `until`, a
 * `performance.now()` value: its stream is open by then, but nothing has been written to it.
 */
export function fencedManager(
  manager: Http2SessionManager,
  until: number,
  sent: SentRequests | undefined,
): CallSession {
  return {
    authority: manager.authority,
    async request(...args) {
      const stream = await manager.request(...args);
      if (performance.now() >= until) {
        stream.destroy();
        throw lateError();
      }
      sent?.leaves();
      return stream;
    },
    notifyResponseByteRead: (stream) => manager.notifyResponseByteRead(stream),
  };
}
