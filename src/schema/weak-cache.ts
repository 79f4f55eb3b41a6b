import { hash } from "node:crypto";

/** Things by the text that they were made from, each for as long as somebody else holds it. */
export interface Shared<T> {
  get(text: string): T | undefined;
  set(text: string, thing: T): void;
}

/** Makes an empty collection. It holds nothing itself, and forgets what nobody holds any more. */
export function createShared<T extends WeakKey>(): Shared<T> {
  const things = new Map<string, WeakRef<T>>();
  const gone = new FinalizationRegistry<string>((key) => {
    if (things.get(key)?.deref() === undefined) things.delete(key);
  });
  return {
    get: (text) => things.get(digest(text))?.deref(),
    set(text, thing) {
      const key = digest(text);
      things.set(key, new WeakRef(thing));
      gone.register(thing, key);
    },
  };
}

function digest(text: string): string {
  return hash("sha256", text, "base64url");
}
