import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomFillSync } from "node:crypto";

/** A key that seals stored values: 32 random bytes, under an id that is stored with each value. */
export interface SealingKey {
  readonly id: string;
  readonly secret: Uint8Array;
}

/**
 * Encrypts and authenticates stored values with AES-256-GCM. A value is bound to its row and opens in no other. The
 * first key seals; every key opens. Without keys, values are stored in plain form.
 *
 * Plain values from before encryption was enabled stay readable: sealed text begins with `sealed.`, sealed bytes with a
 * zero byte, and no stored plain value does.
 */
export interface Sealer {
  /** False if there are no keys. */
  readonly seals: boolean;
  /** Id of the sealing key; undefined if there are no keys. */
  readonly keyId: string | undefined;
  /** Seals a text, or bytes that are stored as text. `row` identifies row and field. */
  sealText(plain: string | Uint8Array, row: string): string;
  /** Opens a sealed text, or returns a plain one. Throws a SealError. */
  openText(stored: string, row: string): Buffer;
  sealBytes(plain: Uint8Array, row: string): Uint8Array;
  openBytes(stored: Uint8Array, row: string): Uint8Array;
  /**
   * A keyed digest that reveals nothing about the text without the key. Equal texts have equal digests only in the same
   * row.
   */
  digest(text: string, row: string): string;
  /** Whether a stored digest, keyed or plain, matches the text. Throws a SealError. */
  matches(stored: string, text: string, row: string): boolean;
  /**
   * Whether a stored text has the form that this sealer writes now: sealed with its first key, or plain without keys.
   */
  isCurrent(stored: string): boolean;
  /** Missing keys that stored values need, in whole sentences for the operator. */
  notes(): string[];
}

/** Thrown for a stored value that cannot be opened. The message names its key and reveals nothing of its content. */
export class SealError extends Error {
  override readonly name: string = "SealError";
}

const textMark = "sealed.1.";
const digestMark = "keyed.1.";
/** No plain value starts with these bytes, because zero is not a valid protobuf field number. */
const bytesMark = Buffer.from([0, 1]);
const saltBytes = 16;
const nonceBytes = 12;
const tagBytes = 16;
const randomBytes = saltBytes + nonceBytes;
/** Maximum number of notes, which values written into the store must not increase without limit. */
const maxNotes = 16;

interface Key {
  readonly id: string;
  readonly values: Buffer;
  readonly digests: Buffer;
}

/** Creates a sealer. `onNote` is called once with each note. */
export function createSealer(keys: readonly SealingKey[], onNote: (note: string) => void = () => {}): Sealer {
  const known = new Map(keys.map(({ id, secret }) => [id, derived(id, secret)]));
  const first = known.values().next().value;
  const notes = new Set<string>();
  const random = createRandom();

  function fail(note: string, message: string): never {
    if (!notes.has(note) && notes.size < maxNotes) {
      notes.add(note);
      onNote(note);
    }
    throw new SealError(message);
  }

  function keyOf(id: string): Key {
    return (
      known.get(id) ??
      fail(
        `stored values are encrypted with the key ${JSON.stringify(id)}: add it to encryption.keys, or to encryption.lostKeys if it is lost`,
        `it is encrypted with the key ${JSON.stringify(id)}, which encryption.keys does not contain`,
      )
    );
  }

  function seal(key: Key, plain: Uint8Array, row: string): Buffer {
    const fresh = random(randomBytes);
    const cipher = createCipheriv("aes-256-gcm", valueKey(key, fresh), fresh.subarray(saltBytes));
    cipher.setAAD(Buffer.from(row));
    const sealed = [cipher.update(plain), cipher.final()];
    return Buffer.concat([fresh, cipher.getAuthTag(), ...sealed]);
  }

  function open(id: string, sealed: Buffer, row: string): Buffer {
    const key = keyOf(id);
    try {
      const nonce = sealed.subarray(saltBytes, randomBytes);
      const options = { authTagLength: tagBytes };
      const decipher = createDecipheriv("aes-256-gcm", valueKey(key, sealed), nonce, options);
      decipher.setAAD(Buffer.from(row));
      decipher.setAuthTag(sealed.subarray(randomBytes, randomBytes + tagBytes));
      return Buffer.concat([decipher.update(sealed.subarray(randomBytes + tagBytes)), decipher.final()]);
    } catch {
      return fail(
        `stored values of the key ${JSON.stringify(id)} cannot be opened: they were changed or moved, or encryption.keys gives this id to another secret`,
        `it does not open with the key ${JSON.stringify(id)}: it was changed or moved, or the id has another secret now`,
      );
    }
  }

  function keyedDigest(key: Key, text: string, row: string): string {
    const digest = createHmac("sha256", key.digests)
      .update(JSON.stringify([row, text]))
      .digest("base64url");
    return `${digestMark}${key.id}.${digest}`;
  }

  return {
    seals: first !== undefined,
    keyId: first?.id,
    sealText(plain, row) {
      if (first === undefined) return typeof plain === "string" ? plain : Buffer.from(plain).toString();
      return `${textMark}${first.id}.${seal(first, Buffer.from(plain), row).toString("base64url")}`;
    },
    openText(stored, row) {
      if (!stored.startsWith(textMark)) return Buffer.from(stored);
      const id = idAfter(textMark, stored);
      return open(id, Buffer.from(stored.slice(textMark.length + id.length + 1), "base64url"), row);
    },
    sealBytes(plain, row) {
      if (first === undefined) return plain;
      const head = Buffer.concat([bytesMark, Buffer.from([first.id.length]), Buffer.from(first.id)]);
      return Buffer.concat([head, seal(first, plain, row)]);
    },
    openBytes(stored, row) {
      if (stored[0] !== bytesMark[0] || stored[1] !== bytesMark[1]) return stored;
      const bytes = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
      const end = 3 + (stored[2] ?? 0);
      return open(bytes.toString("latin1", 3, end), bytes.subarray(end), row);
    },
    digest: (text, row) => (first === undefined ? text : keyedDigest(first, text, row)),
    matches(stored, text, row) {
      if (!stored.startsWith(digestMark)) return stored === text;
      return stored === keyedDigest(keyOf(idAfter(digestMark, stored)), text, row);
    },
    isCurrent: (stored) =>
      first === undefined ? !stored.startsWith(textMark) : stored.startsWith(`${textMark}${first.id}.`),
    notes: () => [...notes].map((note) => `encryption: ${note}`),
  };
}

/** Stores everything in plain form, and still recognises sealed values. */
export const plainSealer: Sealer = createSealer([]);

function derived(id: string, secret: Uint8Array): Key {
  const derive = (use: string): Buffer => Buffer.from(hkdfSync("sha256", secret, "", `jackfield ${use} 1`, 32));
  return { id, values: derive("values"), digests: derive("digests") };
}

/**
 * Derives a key for a single value from its salt: random nonces under one key would be exhausted after some billion
 * values.
 */
function valueKey({ values }: Key, salted: Buffer): Buffer {
  return createHmac("sha256", values).update(salted.subarray(0, saltBytes)).digest();
}

function idAfter(mark: string, stored: string): string {
  const end = stored.indexOf(".", mark.length);
  return stored.slice(mark.length, end < 0 ? undefined : end);
}

/**
 * Returns random bytes from a buffer that is filled in large portions: each request to the system costs the same,
 * whatever its size.
 */
function createRandom(): (count: number) => Buffer {
  let pool = Buffer.alloc(0);
  return (count) => {
    if (pool.length < count) pool = randomFillSync(Buffer.alloc(randomBytes * 128));
    const taken = pool.subarray(0, count);
    pool = pool.subarray(count);
    return taken;
  };
}
