import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { createSecureContext } from "node:tls";
import type { Environment } from "./environment.ts";
import type { ConfigFile } from "./file.ts";

/** Certificate files of the port, as absolute paths. */
export interface TlsConfig {
  /** PEM: the certificate, followed by the intermediate certificates. */
  readonly cert: string;
  /** PEM: the private key. */
  readonly key: string;
  /**
   * PEM: certificate authorities for clients. If set, every client must present a certificate issued by one of them.
   */
  readonly clientCa: string | undefined;
}

/** The contents of the certificate files, in the form that `node:tls` expects. */
export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
}

/** Reads and validates the TLS settings of the file; undefined if the port uses cleartext. */
export function tlsFrom(environment: Environment, { content, folder }: ConfigFile): TlsConfig | undefined {
  const { tls } = content;
  if (tls === undefined) return undefined;
  const config: TlsConfig = {
    cert: resolve(folder, tls.cert),
    key: resolve(folder, tls.key),
    clientCa: tls.clientCa === undefined ? undefined : resolve(folder, tls.clientCa),
  };
  try {
    readTlsMaterial(config);
  } catch (cause) {
    environment.problem(`tls must name a certificate and its key as PEM files; found that ${problemOf(cause)}.`);
  }
  return config;
}

/** Reads the certificate files. Throws if they are unreadable or do not match each other. */
export function readTlsMaterial({ cert, key, clientCa }: TlsConfig): TlsMaterial {
  const material: TlsMaterial = {
    cert: readFileSync(cert),
    key: readFileSync(key),
    ...(clientCa !== undefined && { ca: readFileSync(clientCa) }),
  };
  createSecureContext(material);
  return material;
}

/** Describes why certificate files are unusable. The message contains a path or an OpenSSL reason, never a key. */
function problemOf(cause: unknown): string {
  const { code, path, message } = cause as NodeJS.ErrnoException;
  return path === undefined ? `they do not match: ${code ?? message}` : `${path} cannot be read (${code})`;
}
