import { hash } from "node:crypto";
import { inspect } from "node:util";

/** A text that appears as `[secret]` when it is logged, serialised or inspected. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** Returns the text itself. Pass it to its consumer only, never to a log. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return "[secret]";
  }

  toJSON(): string {
    return "[secret]";
  }

  [inspect.custom](): string {
    return "[secret]";
  }
}

const hashPrefix = "sha256:";
const hashShape = /^sha256:[0-9a-f]{64}$/i;

/**
 * Reports whether a key is given as its hash, `sha256:` and 64 hex digits, so that no file or variable contains the key
 * itself.
 */
export function isKeyHash(text: string): boolean {
  return hashShape.test(text);
}

/** Describes what is wrong with a configured key, without the key; undefined if it can be used. */
export function keyProblem(key: string): string | undefined {
  if (isKeyHash(key)) return undefined;
  if (key.trim() === "") return "must contain a key; found only spaces.";
  if (key.toLowerCase().startsWith(hashPrefix))
    return "must give a key itself, or as sha256: and 64 hex digits; found a malformed hash.";
  // HTTP clients encode other characters in different ways, and remove spaces at the ends.
  if (!/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(key))
    return "must give keys of printable ASCII characters, without spaces around them; found another text.";
  return undefined;
}

/** Returns the SHA-256 of a key, given in plain text or as its hash: 32 bytes. */
export function keyDigest(text: string): Buffer {
  return isKeyHash(text) ? Buffer.from(text.slice(hashPrefix.length), "hex") : hash("sha256", text, "buffer");
}
