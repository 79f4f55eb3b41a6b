import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { createSecureContext } from "node:tls";
import { watchCertificates, type WatchOptions } from "./certificate-watch.ts";
import { type Environment, whyNot } from "./environment.ts";
import type { ConfigFile } from "./file.ts";
import { checkOrigins } from "./values.ts";

/** Certificate files for connections to a server, as absolute paths to PEM files. */
export interface PeerTlsFiles {
  /** Authorities that its certificate may come from. */
  readonly ca?: string | undefined;
  /** Our own certificate, where it asks for one, and the private key of it. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
}

/** The contents of the files, as `node:tls` takes them. */
export interface PeerTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

/** Certificate files for downstreams. */
export interface DownstreamTlsConfig {
  /** PEM file of authorities that are trusted beside those of Node. */
  readonly ca: string | undefined;
  /** By origin: its own authorities are then the only ones. */
  readonly origins: Readonly<Record<string, PeerTlsFiles>>;
}

/** Parameters by which a PostgreSQL URL says how TLS is spoken. */
const urlParameters = ["sslmode", "sslrootcert", "sslcert", "sslkey"] as const;

/** The certificate files of the scale-out engine, checked together with its URL. Undefined where the file names none. */
export function engineTlsFrom(
  environment: Environment,
  { content, folder }: ConfigFile,
  engineUrl: string | undefined,
): PeerTlsFiles | undefined {
  const url = engineUrl === undefined ? null : URL.parse(engineUrl);
  if (url !== null) checkUrlFiles(environment, url);
  const tls = filesFrom(environment, "engine.tls", content.engine?.tls, folder);
  if (tls === undefined) return undefined;
  if (url === null) environment.problem("engine.tls must stand beside the URL of an engine; found no engine.url.");
  else if (url.protocol === "redis:") {
    environment.problem("engine.tls must stand beside a URL of scheme rediss:; found redis:, which is without TLS.");
  }
  const files = urlParameters.filter((name) => name !== "sslmode" && url?.searchParams.has(name));
  if (files.length > 0) {
    environment.problem(
      `engine.tls must be the one place that names certificates; found ${files.join(", ")} in the URL too.`,
    );
  }
  const mode = url?.searchParams.get("sslmode") ?? "verify-full";
  if (!["require", "verify-ca", "verify-full"].includes(mode)) {
    environment.problem(
      `engine.tls must not stand beside a URL that takes its checks away; found sslmode=${mode}: take it out.`,
    );
  }
  return tls;
}

/** The certificate files for downstreams. */
export function downstreamTlsFrom(environment: Environment, { content, folder }: ConfigFile): DownstreamTlsConfig {
  const origins: Record<string, PeerTlsFiles> = {};
  for (const [origin, { tls }] of Object.entries(content.downstreams ?? {})) {
    const files = filesFrom(environment, `downstreams[${JSON.stringify(origin)}].tls`, tls, folder);
    if (files === undefined) continue;
    checkOrigins(environment, "downstreams", [origin]);
    if (origin.startsWith("http:")) {
      environment.problem(`downstreams[${JSON.stringify(origin)}].tls must be of an origin with https:; found http:.`);
    }
    origins[origin] = files;
  }
  return { ca: filesFrom(environment, "outbound.tls", content.outbound?.tls, folder)?.ca, origins };
}

/** Reads certificate files. Throws where they cannot be read, hold nothing that can be used, or do not fit each other. */
export function readPeerTls({ ca, cert, key }: PeerTlsFiles): PeerTls {
  const tls: PeerTls = {
    ...(ca !== undefined && { ca: readFileSync(ca, "utf8") }),
    ...(cert !== undefined && { cert: readFileSync(cert, "utf8") }),
    ...(key !== undefined && { key: readFileSync(key, "utf8") }),
  };
  // OpenSSL passes over an authority that it cannot read: then nothing would be trusted, and nobody would know why.
  if (tls.ca !== undefined) checkAuthorities(tls.ca);
  createSecureContext(tls);
  return tls;
}

/** Certificates that change with their files: read them at each connection. */
export interface LivePeerTls {
  readonly tls: PeerTls;
  close(): void;
}

/** Reads certificate files, and reads them again when they have changed. Throws like `readPeerTls`. */
export function watchPeerTls(files: PeerTlsFiles, options: WatchOptions): LivePeerTls {
  // DANGER: drivers keep this object, so that it is changed in place.
  const tls = readPeerTls(files);
  const close = watchCertificates(
    [files.ca, files.cert, files.key],
    () => Object.assign(tls, readPeerTls(files)),
    options,
  );
  return { tls, close };
}

/** The URL of a PostgreSQL server without what it says of TLS. */
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

/** Files that a PostgreSQL URL names are read at each connection: what is wrong with them is said at the start. */
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
  // Reading one that is none throws.
  const authorities = blocks.map((block) => new X509Certificate(block));
  if (authorities.length === 0) throw new Error("ca holds no certificate");
}

/** Why files cannot be used. The message names a path or an OpenSSL reason, never a key. */
function problemOf(cause: unknown): string {
  const { code, path, message } = cause as NodeJS.ErrnoException;
  return path === undefined ? `they do not fit: ${code ?? message}` : `${path} cannot be read (${whyNot(cause)})`;
}
