/** Error codes for a server certificate that no trusted authority has issued. */
const untrusted: ReadonlySet<string> = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "CERT_UNTRUSTED",
  "CERT_SIGNATURE_FAILURE",
]);

/**
 * Describes why a TLS connection to a server failed, and the remedy, as a phrase that follows the server's name.
 * `setting` is the group of settings for its certificates. Undefined for any other failure.
 */
export function tlsProblem(cause: unknown, setting: string): string | undefined {
  for (let one = cause; one instanceof Error; one = one.cause) {
    const { code } = one as NodeJS.ErrnoException;
    const problem = typeof code === "string" ? problemOf(code, setting) : undefined;
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function problemOf(code: string, setting: string): string | undefined {
  if (untrusted.has(code)) {
    return `its certificate was issued by an authority that is not trusted (${code}): name the authority's certificate in ${setting}.ca`;
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return `its certificate is for other names (${code}): use a name from its certificate`;
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    return `its certificate is not valid at this time (${code}): renew it, or correct the clock of this machine`;
  }
  if (/ALERT_(?:CERTIFICATE|BAD_CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|UNSUPPORTED_CERTIFICATE)/.test(code)) {
    return `it requires a client certificate that it knows (${code}): name one in ${setting}.cert and ${setting}.key`;
  }
  if (code === "ERR_SSL_WRONG_VERSION_NUMBER" || code === "ERR_SSL_PACKET_LENGTH_TOO_LONG") {
    return `it does not use TLS there (${code}): correct the port, or use the scheme without TLS`;
  }
  return undefined;
}
