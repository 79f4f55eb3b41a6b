import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { createSecureContext } from "node:tls";
import { watchCertificates, type WatchOptions } from "./certificate-watch.ts";
import { type Environment, fileErrorMessage } from "./environment.ts";
import type { ConfigFile } from "./file.ts";
import { checkOrigins } from "./values.ts";

/** Certificate files for connections to a server, as absolute paths of PEM files. */
export interface PeerTlsFiles {
  /** Certificate authorities that may have issued the server's certificate. */
  readonly ca?: string | undefined;
  /** Our client certificate and its private key, if the server requires one. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** The contents of the files, in the form that `node:tls` expects. */
export interface PeerTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Certificate files for downstreams. */
export interface DownstreamTlsConfig {
  /** PEM file of authorities that are trusted in addition to Node's. */
  readonly ca: string | undefined;
  /** By origin: its listed authorities replace all others. */
  readonly origins: Readonly<Record<string, PeerTlsFiles>>;
}

/** URL parameters that configure TLS for PostgreSQL. */
const urlParameters = ["sslmode", "sslrootcert", "sslcert", "sslkey"] as const;

/**
 * Reads the engine's certificate files, and validates them together with its URL. Undefined if the file configures
 * none.
 */
export function engineTlsFrom(
  environment: Environment,
  { content, folder }: ConfigFile,
  engineUrl: string | undefined,
): PeerTlsFiles | undefined {
  const url = engineUrl === undefined ? null : URL.parse(engineUrl);
  if (url !== null) checkUrlFiles(environment, url);
  const tls = filesFrom(environment, "engine.tls", content.engine?.tls, folder);
  if (tls === undefined) return undefined;
  if (url === null) environment.problem("engine.tls must be used with the URL of an engine; found no engine.url.");
  else if (url.protocol === "redis:") {
    environment.problem("engine.tls must be used with a URL of scheme rediss:; found redis:, which does not use TLS.");
  }
  const files = urlParameters.filter((name) => name !== "sslmode" && url?.searchParams.has(name));
  if (files.length > 0) {
    environment.problem(
      `engine.tls must be the only place that names certificates; found ${files.join(", ")} in the URL too.`,
    );
  }
  const mode = url?.searchParams.get("sslmode") ?? "verify-full";
  if (!["require", "verify-ca", "verify-full"].includes(mode)) {
    environment.problem(
      `engine.tls must not be combined with a URL that disables its checks; found sslmode=${mode}: remove it.`,
    );
  }
  return tls;
}

/** Reads the settings of certificate files for downstreams. */
export function downstreamTlsFrom(environment: Environment, { content, folder }: ConfigFile): DownstreamTlsConfig {
  const origins: Record<string, PeerTlsFiles> = {};
  for (const [origin, { tls }] of Object.entries(content.downstreams ?? {})) {
    const files = filesFrom(environment, `downstreams[${JSON.stringify(origin)}].tls`, tls, folder);
    if (files === undefined) continue;
    checkOrigins(environment, "downstreams", [origin]);
    if (origin.startsWith("http:")) {
      environment.problem(
        `downstreams[${JSON.stringify(origin)}].tls must belong to an origin with https:; found http:.`,
      );
    }
    origins[origin] = files;
  }
  return { ca: filesFrom(environment, "outbound.tls", content.outbound?.tls, folder)?.ca, origins };
}

/** Reads certificate files. Throws if they are unreadable, contain nothing usable, or do not match each other. */
export function readPeerTls({ ca, cert, key }: PeerTlsFiles): PeerTls {
  const tls: PeerTls = {
    ...(ca !== undefined && { ca: readFileSync(ca, "utf8") }),
    ...(cert !== undefined && { cert: readFileSync(cert, "utf8") }),
    ...(key !== undefined && { key: readFileSync(key, "utf8") }),
  };
  // OpenSSL skips an authority that it cannot parse: then nothing would be trusted, without any message.
  if (tls.ca !== undefined) checkAuthorities(tls.ca);
  createSecureContext(tls);
  return tls;
}

/** Certificates that are updated when their files change: read them for each connection. */
export interface LivePeerTls {
  readonly tls: PeerTls;
  close(): void;
}

/** Reads certificate files, and reloads them when they change. Throws like `readPeerTls`. */
export function watchPeerTls(files: PeerTlsFiles, options: WatchOptions): LivePeerTls {
  // DANGER: drivers keep this object, so it must be updated in place.
  const tls = readPeerTls(files);
  const close = watchCertificates(
    [files.ca, files.cert, files.key],
    () => Object.assign(tls, readPeerTls(files)),
    options,
  );
  return { tls, close };
}

/** Returns the URL of a PostgreSQL server without its TLS parameters. */
export function withoutTls(url: string): string {
  const bare = new URL(url);
  for (const name of urlParameters) bare.searchParams.delete(name);
  return bare.href;
}

function filesFrom(
  environment: Environment,
  where: string,
  given: PeerTlsFiles | undefined,
  folder: string,
): PeerTlsFiles | undefined {
  if (given === undefined) return undefined;
  if ((given.cert === undefined) !== (given.key === undefined)) {
    environment.problem(`${where} must name cert and key together; found one of them.`);
    return undefined;
  }
  const path = (name: string | undefined) => (name === undefined ? undefined : resolve(folder, name));
  const files = { ca: path(given.ca), cert: path(given.cert), key: path(given.key) };
  try {
    readPeerTls(files);
  } catch (cause) {
    environment.problem(`${where} must name PEM files that can be used; found that ${problemOf(cause)}.`);
  }
  return files;
}

/** Checks the files named in a PostgreSQL URL at startup; the driver reads them only when it connects. */
function checkUrlFiles(environment: Environment, url: URL): void {
  if (!url.protocol.startsWith("postgres")) return;
  const name = (parameter: (typeof urlParameters)[number]) => url.searchParams.get(parameter) ?? undefined;
  const [ca, cert, key] = [name("sslrootcert"), name("sslcert"), name("sslkey")];
  try {
    readPeerTls({ ca, cert, key });
  } catch (cause) {
    environment.problem(`The engine's URL must name PEM files that can be used; found that ${problemOf(cause)}.`);
  }
}

function checkAuthorities(pem: string): void {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  // Throws for an invalid certificate.
  const authorities = blocks.map((block) => new X509Certificate(block));
  if (authorities.length === 0) throw new Error("ca contains no certificate");
}

/** Describes why files are unusable. The message contains a path or an OpenSSL reason, never a key. */
function problemOf(cause: unknown): string {
  const { code, path, message } = cause as NodeJS.ErrnoException;
  return path === undefined
    ? `they do not match: ${code ?? message}`
    : `${path} cannot be read (${fileErrorMessage(cause)})`;
}
