import type { Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import type { Logger } from "pino";
import { watchCertificates } from "../config/certificate-watch.ts";
import { readTlsMaterial, type TlsConfig } from "../config/tls.ts";

/** Turns connections into TLS connections. */
export interface TlsAcceptor {
  /** Accepts a connection. After a successful handshake its TLS connection is passed to `onSecure`. */
  accept(socket: Socket): void;
  /** Closes connections whose handshake is not complete. */
  abortHandshakes(): void;
  close(): void;
}

/** Dependencies and settings of the acceptor. */
export interface TlsAcceptorParts {
  readonly config: TlsConfig;
  readonly log: Pick<Logger, "info" | "error" | "debug">;
  /** Time limit of a handshake in milliseconds. */
  readonly handshakeMs: number;
  /** Interval between two checks of the files, in milliseconds; 10,000 by default. */
  readonly reloadMs?: number;
  onSecure(socket: TLSSocket): void;
}

/**
 * Creates the acceptor, for TLS 1.2 and 1.3, with HTTP/2 preferred. When certificate files change, new connections use
 * the new certificates soon afterwards. Files that cannot be used are logged, and the previous certificates stay in
 * use.
 */
export function createTlsAcceptor({ config, log, handshakeMs, reloadMs, onSecure }: TlsAcceptorParts): TlsAcceptor {
  const clientCertificates = config.clientCa !== undefined;
  // It never listens: it receives the connections that the port has accepted.
  const server = createServer({
    ...readTlsMaterial(config),
    ALPNProtocols: ["h2", "http/1.1"],
    handshakeTimeout: handshakeMs,
    requestCert: clientCertificates,
    rejectUnauthorized: clientCertificates,
  });
  const handshakes = new Map<string, Socket>();
  server.on("secureConnection", (socket) => {
    handshakes.delete(peerOf(socket));
    onSecure(socket);
  });
  server.on("tlsClientError", (err, socket) => {
    log.debug({ err }, "a TLS handshake failed");
    socket.destroy();
  });

  const stopWatch = watchCertificates(
    [config.cert, config.key, config.clientCa],
    () => server.setSecureContext(readTlsMaterial(config)),
    { log, reloadMs },
  );
  return {
    accept(socket) {
      const peer = peerOf(socket);
      handshakes.set(peer, socket);
      socket.once("close", () => {
        if (handshakes.get(peer) === socket) handshakes.delete(peer);
      });
      server.emit("connection", socket);
    },
    abortHandshakes() {
      for (const socket of handshakes.values()) socket.destroy();
    },
    close: stopWatch,
  };
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
