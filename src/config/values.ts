import { isIP } from "node:net";
import type { Environment } from "./environment.ts";
import { privateAddressFrom } from "./private-addresses.ts";

/** A text and the key it came from, for problems. */
export interface SourcedText {
  readonly key: string;
  readonly text: string;
}

/** Returns the variable's value if it is set, otherwise the file's, with the key to name in a problem. */
export function pick(
  environment: Environment,
  variable: string,
  fileKey: string,
  fileValue: string | undefined,
): SourcedText | undefined {
  const text = environment.get(variable);
  if (text !== undefined) return { key: variable, text };
  return fileValue === undefined ? undefined : { key: fileKey, text: fileValue };
}

/** Returns a secret in the same way; it may also come from `NAME_FILE`. */
export function pickSecret(
  environment: Environment,
  variable: string,
  fileKey: string,
  fileValue: string | undefined,
): SourcedText | undefined {
  const text = environment.secret(variable);
  if (text !== undefined) return { key: variable, text };
  return fileValue === undefined ? undefined : { key: fileKey, text: fileValue };
}

/** Returns an integer within limits; otherwise adds a problem and returns the default. */
export function wholeNumber(
  environment: Environment,
  name: string,
  min: number,
  max: number,
  otherwise: number,
): number {
  const text = environment.get(name);
  if (text === undefined) return otherwise;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  environment.problem(`${name} must be a whole number from ${min} to ${max}; found ${JSON.stringify(text)}.`);
  return otherwise;
}

/** Returns one of the given words; otherwise adds a problem and returns the default. */
export function word<const Word extends string>(
  environment: Environment,
  name: string,
  known: readonly Word[],
  otherwise: Word,
): Word {
  const text = environment.get(name);
  if (text === undefined) return otherwise;
  const found = known.find((candidate) => candidate === text.toLowerCase());
  if (found === undefined)
    environment.problem(`${name} must be one of ${known.join(", ")}; found ${JSON.stringify(text)}.`);
  return found ?? otherwise;
}

/** Returns an HTTP base URL without its trailing slash; adds a problem and returns undefined if it is invalid. */
export function httpUrl(environment: Environment, source: SourcedText | undefined): string | undefined {
  if (source === undefined) return undefined;
  const url = URL.parse(source.text);
  const problem = (found: string): undefined => {
    environment.problem(`${source.key} must be an http: or https: URL; found ${found}.`);
    return undefined;
  };
  if (url === null)
    return problem(source.text.includes("@") ? "a text that is not a URL" : JSON.stringify(source.text));
  if (url.username !== "" || url.password !== "") return problem("one with credentials in it");
  if (url.protocol !== "http:" && url.protocol !== "https:") return problem(JSON.stringify(source.text));
  if (url.search !== "" || url.hash !== "") return problem("one with a query or a fragment");
  return source.text.replace(/\/+$/, "");
}

/** Returns a URL of one of the schemes. It may contain credentials, so a problem does not show it. */
export function storeUrl(
  environment: Environment,
  source: SourcedText | undefined,
  schemes: readonly string[],
): string | undefined {
  if (source === undefined) return undefined;
  const url = URL.parse(source.text);
  if (url !== null && schemes.includes(url.protocol)) return source.text;
  const found = url === null ? "a text that is not a URL" : `the scheme ${url.protocol}`;
  environment.problem(`${source.key} must be a URL of scheme ${schemes.join(" or ")}; found ${found}.`);
  return undefined;
}

/** Returns the parts of a comma-separated variable, otherwise the file's list. */
export function list(
  environment: Environment,
  variable: string,
  fileValue: readonly string[] | undefined,
): { key: string; items: readonly string[] } {
  const text = environment.get(variable);
  if (text === undefined) return { key: variable, items: fileValue ?? [] };
  return {
    key: variable,
    items: text
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== ""),
  };
}

/** Checks that every item is an origin, and returns the items. */
export function checkOrigins(environment: Environment, key: string, items: readonly string[]): readonly string[] {
  for (const item of items) {
    if (URL.parse(item)?.origin === item) continue;
    environment.problem(`${key} must list origins such as https://app.example.com; found ${JSON.stringify(item)}.`);
  }
  return items;
}

/** Checks that every item is an address, a CIDR or a host name. */
export function checkAddresses(environment: Environment, key: string, items: readonly string[]): void {
  for (const item of items) {
    if (privateAddressFrom(item) !== undefined) continue;
    environment.problem(
      `${key} must list hosts, addresses or CIDRs such as 10.0.0.0/8; found ${JSON.stringify(item)}.`,
    );
  }
}

/** Checks that every item is valid in a `Host` header: a name or an address, with or without a port. */
export function checkHosts(environment: Environment, key: string, items: readonly string[]): void {
  for (const item of items) {
    const host = item.replace(/:\d{1,5}$/, "");
    if (isIP(bare(item)) || isIP(bare(host)) || isHostName(host)) continue;
    environment.problem(`${key} must list host names such as jackfield.example.com; found ${JSON.stringify(item)}.`);
  }
}

/** Reports whether a text is a host name: labels of letters, digits and hyphens. */
export function isHostName(text: string): boolean {
  return text.length <= 253 && /^(\*\.)?[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?$/i.test(text);
}

function bare(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}
