import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { Environment } from "./environment.ts";

/** A text and the key it came from, as a problem names it. */
export interface Sourced {
  readonly key: string;
  readonly text: string;
}

/** The variable where it is set, else the file's value, with the key that a problem has to name. */
export function pick(
  environment: Environment,
  variable: string,
  fileKey: string,
  fileValue: string | undefined,
): Sourced | undefined {
  const text = environment.get(variable);
  if (text !== undefined) return { key: variable, text };
  return fileValue === undefined ? undefined : { key: fileKey, text: fileValue };
}

/** The same for a secret, which may also come as `NAME_FILE`. */
export function pickSecret(
  environment: Environment,
  variable: string,
  fileKey: string,
  fileValue: string | undefined,
): Sourced | undefined {
  const text = environment.secret(variable);
  if (text !== undefined) return { key: variable, text };
  return fileValue === undefined ? undefined : { key: fileKey, text: fileValue };
}

/** A whole number within bounds; a problem and the default otherwise. */
export function wholeNumber(
  environment: Environment,
  name: string,
  least: number,
  most: number,
  otherwise: number,
): number {
  const text = environment.get(name);
  if (text === undefined) return otherwise;
  const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  environment.problem(`${name} must be a whole number from ${least} to ${most}; found ${JSON.stringify(text)}.`);
  return otherwise;
}

/** One of the given words; a problem and the default otherwise. */
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

/** A base URL over HTTP without the slash at its end; a problem and undefined where it is none. */
export function httpUrl(environment: Environment, source: Sourced | undefined): string | undefined {
  if (source === undefined) return undefined;
  const url = URL.parse(source.text);
  const problem = (found: string): undefined => {
    environment.problem(`${source.key} must be an http: or https: URL; found ${found}.`);
    return undefined;
  };
  if (url === null) return problem(source.text.includes("@") ? "a text that is none" : JSON.stringify(source.text));
  if (url.username !== "" || url.password !== "") return problem("one with credentials in it");
  if (url.protocol !== "http:" && url.protocol !== "https:") return problem(JSON.stringify(source.text));
  if (url.search !== "" || url.hash !== "") return problem("one with a query or a fragment");
  return source.text.replace(/\/+$/, "");
}

/** A URL that may hold credentials, of one of the schemes; a problem that does not tell it otherwise. */
export function storeUrl(
  environment: Environment,
  source: Sourced | undefined,
  schemes: readonly string[],
): string | undefined {
  if (source === undefined) return undefined;
  const url = URL.parse(source.text);
  if (url !== null && schemes.includes(url.protocol)) return source.text;
  const found = url === null ? "a text that is no URL" : `the scheme ${url.protocol}`;
  environment.problem(`${source.key} must be a URL of scheme ${schemes.join(" or ")}; found ${found}.`);
  return undefined;
}

/** The parts of a comma-separated variable, else the file's list. */
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
    environment.problem(`${key} must hold origins such as https://app.example.com; found ${JSON.stringify(item)}.`);
  }
  return items;
}

/** Checks that every item is an address, a CIDR or a host name. */
export function checkAddresses(environment: Environment, key: string, items: readonly string[]): void {
  for (const item of items) {
    if (isIP(bare(item)) || ipaddr.isValidCIDR(item) || isHostName(item)) continue;
    environment.problem(
      `${key} must hold hosts, addresses or CIDRs such as 10.0.0.0/8; found ${JSON.stringify(item)}.`,
    );
  }
}

/** Checks that every item is what a `Host` header may hold: a name or an address, with or without a port. */
export function checkHosts(environment: Environment, key: string, items: readonly string[]): void {
  for (const item of items) {
    const host = item.replace(/:\d{1,5}$/, "");
    if (isIP(bare(item)) || isIP(bare(host)) || isHostName(host)) continue;
    environment.problem(`${key} must hold host names such as jackfield.example.com; found ${JSON.stringify(item)}.`);
  }
}

/** Tells whether a text is a host name: labels of letters, digits and hyphens. */
export function isHostName(text: string): boolean {
  return text.length <= 253 && /^(\*\.)?[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?$/i.test(text);
}

function bare(host: string): string {
  return host.startsWith("[") && host.endsWith("]") ? host.slice(1, -1) : host;
}
