import { isPrivateAddress } from "./private-address.ts";
import { isIP } from "node:net";

const redacted = "[redacted]";
const secretName =
  "[\\w-]{0,40}(?:api[_-]?key|access[_-]?key|token|secret|passw(?:or)?d|pwd|credential|authorization|cookie)s?[\\w-]{0,20}";

const patterns: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^]*?(?:-----END [A-Z ]{0,40}PRIVATE KEY-----|$)/g, redacted],
  [/\b(Bearer|Basic|Digest)\s+[\w.~+/=-]{6,}/gi, `$1 ${redacted}`],
  [/\beyJ[\w-]{5,}\.[\w-]{5,}(?:\.[\w-]*)?/g, redacted],
  [
    /\b(?:sk|pk|rk|ghp|gho|ghs|github_pat|glpat|xox[abprs])[-_][\w-]{10,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{30,}/g,
    redacted,
  ],
  [/\b([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@"'<>]{1,200}@/gi, `$1${redacted}@`],
  [
    new RegExp(`(["']?\\b${secretName}["']?\\s{0,3}[:=]\\s{0,3})(?:"[^"\\n]*"?|'[^'\\n]*'?|[^\\s,;&}<]+)`, "gi"),
    `$1${redacted}`,
  ],
  // Stack lines of Node and Java, and of Python.
  [/^[ \t]*at\s[^\n]{0,300}$|(?<!\s)\s+at\s{1,3}[^\n()]{0,200}\([^\n()]{0,200}:\d+(?::\d+)?\)/gm, ""],
  [/^[ \t]*File "[^"\n]{0,200}", line \d+[^\n]{0,200}$/gm, ""],
];

const internalName = /^(?:localhost|[^.]+)$|\.(?:local|localhost|internal|intranet|lan|corp|home|svc|test)$/i;

/**
 * Removes everything from a text that looks secret or internal: tokens, keys, passwords, credentials in URLs, URLs of
 * private or local hosts, stack traces, and each of the given `secrets`.
 */
export function redact(text: string, secrets: readonly string[] = []): string {
  let clean = text;
  for (const secret of secrets) if (secret.length >= 4) clean = clean.replaceAll(secret, redacted);
  for (const [pattern, instead] of patterns) clean = clean.replace(pattern, instead);
  return clean.replace(/\b(?:https?|wss?|postgres(?:ql)?|redis|amqp|mongodb):\/\/[^\s"'<>]{1,500}/gi, (url) =>
    isInternal(url) ? "[internal URL]" : url,
  );
}

/** Returns the first 200 code points of a text, redacted. `hide` redacts further texts. */
export function excerpt(
  text: string,
  secrets: readonly string[] = [],
  hide: (text: string) => string = (clean) => clean,
): string {
  // Truncating before matching bounds the cost of a hostile body. A secret that is cut there is still recognised by its
  // beginning.
  const clean = hide(redact(text.slice(0, 4096), secrets))
    .toWellFormed()
    .trim();
  return clean.length <= 200 ? clean : Array.from(clean.slice(0, 400)).slice(0, 200).join("");
}

function isInternal(url: string): boolean {
  const host = URL.parse(url)
    ?.hostname.replace(/^\[(.*)\]$/, "$1")
    .replace(/\.$/, "");
  if (host === undefined || host === "") return true;
  return isIP(host) === 0 ? internalName.test(host) : isPrivateAddress(host);
}
