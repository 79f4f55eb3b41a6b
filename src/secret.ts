import { hash } from "node:crypto";
import { inspect } from "node:util";

/** A text that prints as `[secret]` wherever it is logged, serialised or inspected. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself: pass it on to where it is used, never to a log. */
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

/** Whether a key is given as its hash, `sha256:` and 64 hex digits, so that no file and no variable holds the key itself. */
export function isKeyHash(text: string): boolean {
  return hashShape.test(text);
}

/** Whether a key begins like a hash and is none. */
export function isBrokenKeyHash(text: string): boolean {
  return text.toLowerCase().startsWith(hashPrefix) && !isKeyHash(text);
}

/** The SHA-256 of a key, whichever way it is given: 32 bytes. */
export function keyDigest(text: string): Buffer {
  return isKeyHash(text) ? Buffer.from(text.slice(hashPrefix.length), "hex") : hash("sha256", text, "buffer");
}
