import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";

/** Options of a certificate. */
export interface CertificateOptions {
  readonly subject?: string;
  /** Name of the authority that signs it; by default it signs itself. */
  readonly ca?: string | undefined;
}

/** Creates NAME.crt and NAME.key in a folder, for localhost and 127.0.0.1, with openssl: Node cannot create certificates. */
export function createCertificate(
  folder: string,
  name: string,
  { subject = name, ca }: CertificateOptions = {},
): { cert: string; key: string } {
  const file = (suffix: string): string => join(folder, suffix);
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", file(`${name}.key`)];
  const signer = ca === undefined ? [] : ["-CA", file(`${ca}.crt`), "-CAkey", file(`${ca}.key`)];
  const names = ["-subj", `/CN=${subject}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  execFileSync("openssl", ["req", "-x509", ...key, ...signer, ...names, "-days", "2", "-out", file(`${name}.crt`)], {
    stdio: "pipe",
  });
  return { cert: file(`${name}.crt`), key: file(`${name}.key`) };
}

/** A suffix for titles of tests without openssl; empty if it is installed. */
export const opensslMissing =
  spawnSync("openssl", ["version"]).status === 0 ? "" : " (skipped: there is no openssl on this machine)";

/** Creates an authority with certificates of a server and a client, and a stranger that it has not signed. */
export function createAuthority(folder: string): void {
  createCertificate(folder, "authority");
  createCertificate(folder, "stranger");
  createCertificate(folder, "server", { ca: "authority" });
  createCertificate(folder, "client", { ca: "authority" });
}
