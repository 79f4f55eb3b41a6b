import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { createSecureContext } from "node:tls";
import type { Environment } from "./environment.ts";
import type { ConfigFile } from "./file.ts";

/** Certificate files of the port, as absolute paths. */
export interface TlsConfig {
  /** PEM: the certificate, followed by the intermediate ones. */
  readonly cert: string;
  /** PEM: the private key. */
  readonly key: string;
  /** PEM: authorities of client certificates. With it, every client needs a certificate of theirs. */
  readonly clientCa: string | undefined;
}

/** The contents of the certificate files, as `node:tls` takes them. */
export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
}

/** The TLS settings of the file, checked; undefined where the port speaks cleartext. */
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

/** Reads the certificate files. Throws where they cannot be read or do not fit each other. */
export function readTlsMaterial({ cert, key, clientCa }: TlsConfig): TlsMaterial {
  const material: TlsMaterial = {
    cert: readFileSync(cert),
    key: readFileSync(key),
    ...(clientCa !== undefined && { ca: readFileSync(clientCa) }),
  };
  createSecureContext(material);
  return material;
}

/** Why certificate files cannot be used. The message names a path or an OpenSSL reason, never a key. */
function problemOf(cause: unknown): string {
  const { code, path, message } = cause as NodeJS.ErrnoException;
  return path === undefined ? `they do not fit: ${code ?? message}` : `${path} cannot be read (${code})`;
}
