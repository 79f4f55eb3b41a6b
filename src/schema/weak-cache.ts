import { hash } from "node:crypto";

/** A cache of objects by the text they were made from. It keeps an object only as long as it is used elsewhere. */
export interface WeakCache<T> {
  get(text: string): T | undefined;
  set(text: string, value: T): void;
}

/** Creates an empty cache. */
export function createWeakCache<T extends WeakKey>(): WeakCache<T> {
  const values = new Map<string, WeakRef<T>>();
  const collected = new FinalizationRegistry<string>((key) => {
    if (values.get(key)?.deref() === undefined) values.delete(key);
  });
  return {
    get: (text) => values.get(digest(text))?.deref(),
    set(text, value) {
      const key = digest(text);
      values.set(key, new WeakRef(value));
      collected.register(value, key);
    },
  };
}

function digest(text: string): string {
  return hash("sha256", text, "base64url");
}
