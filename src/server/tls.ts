import type { Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import type { Logger } from "pino";
import { watchCertificates } from "../config/certificate-watch.ts";
import { readTlsMaterial, type TlsConfig } from "../config/tls.ts";

/** Turns connections into TLS connections. */
export interface TlsAcceptor {
  /** Takes a new connection; its TLS connection comes by `onSecure`, if its handshake succeeds. */
  accept(socket: Socket): void;
  /** Closes the connections whose handshake is not done. */
  abortHandshakes(): void;
  close(): void;
}

/** What the acceptor needs. */
export interface TlsAcceptorParts {
  readonly config: TlsConfig;
  readonly log: Pick<Logger, "info" | "error" | "debug">;
  /** Longest handshake in milliseconds. */
  readonly handshakeMs: number;
  /** How often the files are looked at, in milliseconds; 10,000 by default. */
  readonly reloadMs?: number;
  onSecure(socket: TLSSocket): void;
}

/**
 * Creates the acceptor. New certificates are used for new connections soon after their files have changed; files that
 * cannot be used are logged, and the ones before stay in use. TLS 1.2 and 1.3, HTTP/2 preferred.
 */
export function createTlsAcceptor({ config, log, handshakeMs, reloadMs, onSecure }: TlsAcceptorParts): TlsAcceptor {
  const clientCertificates = config.clientCa !== undefined;
  // It never listens: it makes TLS connections of those that the port has accepted.
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
