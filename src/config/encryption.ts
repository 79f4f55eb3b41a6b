import { Secret } from "../secret.ts";
import type { Config, EncryptionKey } from "./config.ts";
import type { Environment } from "./environment.ts";
import type { FileConfig } from "./schema.ts";

const keyBytes = 32;
const idShape = /^[\w-]{1,32}$/;
const hint = "Make one with `openssl rand -base64 32`.";

/**
 * Reads the encryption keys of stored values: the first one encrypts, all decrypt. Reported problems contain no secret.
 */
export function encryptionFrom(environment: Environment, file: FileConfig): Config["encryption"] {
  const keys: EncryptionKey[] = [];
  for (const [index, { id, secret: text }] of (file.encryption?.keys ?? []).entries()) {
    const where = `encryption.keys[${index}]`;
    if (!idShape.test(id)) {
      environment.problem(
        `${where}.id must have 1 to 32 letters, digits, - and _: it is written beside each value; found ${JSON.stringify(id.slice(0, 64))}.`,
      );
    } else if (keys.some((key) => key.id === id)) {
      environment.problem(
        `${where}.id must be unique, and never reused for another secret; found ${JSON.stringify(id)} twice.`,
      );
    }
    const bytes = bytesOf(text);
    if (bytes === undefined) {
      environment.problem(
        `${where}.secret must be ${keyBytes} random bytes in base64 or hex; found a text that is neither. ${hint}`,
      );
    } else if (bytes.length !== keyBytes) {
      environment.problem(
        `${where}.secret must be ${keyBytes} random bytes in base64 or hex; found ${bytes.length} bytes. ${hint}`,
      );
    } else if (keys.some(({ secret }) => encryptionSecret(secret).equals(bytes))) {
      environment.problem(`${where}.secret must differ from those before; found one twice.`);
    } else keys.push({ id, secret: new Secret(text.trim()) });
  }
  return { keys, lostKeys: file.encryption?.lostKeys ?? [] };
}

/** Returns the bytes of a validated secret. */
export function encryptionSecret(secret: Secret): Buffer {
  return bytesOf(secret.reveal()) ?? Buffer.alloc(0);
}

/** Decodes hex, base64 or base64url; undefined for any other text. */
function bytesOf(text: string): Buffer | undefined {
  const trimmed = text.trim();
  if (/^[0-9a-f]+$/i.test(trimmed) && trimmed.length === 2 * keyBytes) return Buffer.from(trimmed, "hex");
  return /^[A-Za-z0-9+/_-]+={0,2}$/.test(trimmed) ? Buffer.from(trimmed, "base64") : undefined;
}
