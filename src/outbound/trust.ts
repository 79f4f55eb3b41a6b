import { createSecureContext, getCACertificates, type SecureContext } from "node:tls";
import { buildConnector } from "undici";
import { watchCertificates, type WatchOptions } from "../config/certificate-watch.ts";
import { type DownstreamTlsConfig, readPeerTls } from "../config/peer-tls.ts";

/** Certificate authorities for downstreams, and our client certificates. */
export interface Trust {
  /**
   * Returns the TLS context for connections to an origin. Undefined: Node's default. It contains our client certificate
   * only if the operator has configured the origin for the request: a caller who registers a tool, or a model's
   * argument, must not choose where we authenticate.
   */
  contextFor(origin: string, isConfigured: boolean): SecureContext | undefined;
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
  return {
    contextFor(origin, isConfigured) {
      const own = contexts.byOrigin.get(origin);
      return own === undefined ? contexts.everywhere : isConfigured ? own.withClient : own.withoutClient;
    },
    close,
  };
}

interface Contexts {
  readonly byOrigin: ReadonlyMap<string, { readonly withClient: SecureContext; readonly withoutClient: SecureContext }>;
  readonly everywhere: SecureContext | undefined;
}

function readContexts({ ca, origins }: DownstreamTlsConfig): Contexts {
  const usual = getCACertificates("default");
  const own = ca === undefined ? [] : [readPeerTls({ ca }).ca ?? ""];
  const byOrigin = new Map(
    Object.entries(origins).map(([origin, files]) => {
      const tls = readPeerTls(files);
      const ca = tls.ca ?? [...usual, ...own];
      return [
        origin,
        { withClient: createSecureContext({ ...tls, ca }), withoutClient: createSecureContext({ ca }) },
      ] as const;
    }),
  );
  return { byOrigin, everywhere: own.length === 0 ? undefined : createSecureContext({ ca: [...usual, ...own] }) };
}

/** Creates a pool's connector, which uses the certificates of each origin. */
export function createConnector(
  options: buildConnector.BuildOptions,
  trust: Trust,
  isConfigured: boolean,
): buildConnector.connector {
  const plain = buildConnector(options);
  const connectors = new WeakMap<SecureContext, buildConnector.connector>();
  return (target, callback) => {
    const { protocol, host = target.hostname } = target;
    const context =
      protocol === "https:" ? trust.contextFor(new URL(`https://${host}`).origin, isConfigured) : undefined;
    if (context === undefined) return plain(target, callback);
    let connect = connectors.get(context);
    if (connect === undefined) {
      connectors.set(context, (connect = buildConnector({ ...options, secureContext: context })));
    }
    return connect(target, callback);
  };
}
