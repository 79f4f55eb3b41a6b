import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { buildConnector } from "undici";
import { watchCertificates, type WatchOptions } from "../config/certificate-watch.ts";
import { type DownstreamTlsConfig, readPeerTls } from "../config/peer-tls.ts";

/** Certificate authorities for downstreams, and our client certificates. */
export interface Trust {
  /** Returns the TLS context for connections to an origin. Undefined: Node's default. */
  contextFor(origin: string): SecureContext | undefined;
}

/** Trusts Node's default authorities only. */
export const defaultTrust: Trust = { contextFor: () => undefined };

/** A trust that follows changes of its files. */
export interface WatchedTrust extends Trust {
  close(): void;
}

/**
 * Reads the certificates, and reloads them for new connections when their files change. Contexts are cached, because
 * creating one takes milliseconds. Throws if the certificates are unreadable.
 */
export function createTrust(config: DownstreamTlsConfig, options: WatchOptions): WatchedTrust {
  let contexts = readContexts(config);
  const files = [config.ca, ...Object.values(config.origins).flatMap(({ ca, cert, key }) => [ca, cert, key])];
  const close = watchCertificates(files, () => void (contexts = readContexts(config)), options);
  return { contextFor: (origin) => contexts.byOrigin.get(origin) ?? contexts.everywhere, close };
}

interface Contexts {
  readonly byOrigin: ReadonlyMap<string, SecureContext>;
  readonly everywhere: SecureContext | undefined;
}

function readContexts({ ca, origins }: DownstreamTlsConfig): Contexts {
  const usual = getCACertificates("default");
  const own = ca === undefined ? [] : [readPeerTls({ ca }).ca ?? ""];
  const byOrigin = new Map(
    Object.entries(origins).map(([origin, files]) => {
      const tls = readPeerTls(files);
      return [origin, createSecureContext({ ...tls, ca: tls.ca ?? [...usual, ...own] })] as const;
    }),
  );
  return { byOrigin, everywhere: own.length === 0 ? undefined : createSecureContext({ ca: [...usual, ...own] }) };
}

/** Creates a pool's connector, which uses the certificates of each origin. */
export function createConnector(options: buildConnector.BuildOptions, trust: Trust): buildConnector.connector {
  const plain = buildConnector(options);
  const connectors = new WeakMap<SecureContext, buildConnector.connector>();
  return (target, callback) => {
    const { protocol, host = target.hostname } = target;
    const context = protocol === "https:" ? trust.contextFor(new URL(`https://${host}`).origin) : undefined;
    if (context === undefined) return plain(target, callback);
    let connect = connectors.get(context);
    if (connect === undefined) {
      connectors.set(context, (connect = buildConnector({ ...options, secureContext: context })));
    }
    return connect(target, callback);
  };
}
