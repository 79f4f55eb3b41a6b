import { randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createSealer, plainSealer, SealError } from "../../src/store/sealer.ts";

const [one, two] = [
  { id: "one", secret: randomBytes(32) },
  { id: "two", secret: randomBytes(32) },
];

/** Returns the error of a function. Its message must not contain secrets. */
function errorOf(run: () => unknown): Error {
  try {
    run();
  } catch (reason) {
    if (reason instanceof SealError) return reason;
    throw reason;
  }
  throw new Error("it did not throw");
}

describe("a sealer", () => {
  test("opens everything that it sealed, texts and bytes, in the same row", () => {
    const sealer = createSealer([one]);
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.uint8Array(), fc.string(), (text, bytes, row) => {
        expect(sealer.openText(sealer.sealText(text, row), row).toString()).toBe(text);
        expect(sealer.openText(sealer.sealText(bytes, row), row)).toEqual(Buffer.from(bytes));
        expect(Buffer.from(sealer.openBytes(sealer.sealBytes(bytes, row), row))).toEqual(Buffer.from(bytes));
      }),
    );
  });

  test("reveals nothing of the content, names its key, and never writes the same text twice", () => {
    const sealer = createSealer([one, two]);
    const sealed = sealer.sealText("4111 1111 1111 1111", "row");
    expect(sealed).toMatch(/^sealed\.1\.one\.[\w-]+$/);
    expect(Buffer.from(sealer.sealBytes(Buffer.from("4111"), "row")).toString("latin1")).not.toContain("4111");
    expect(sealer.sealText("4111 1111 1111 1111", "row")).not.toBe(sealed);
  });

  test("opens nothing that was moved to another row, changed or truncated", () => {
    const sealer = createSealer([one]);
    const text = sealer.sealText("secret words", "row");
    const bytes = Buffer.from(sealer.sealBytes(Buffer.from("secret words"), "row"));
    expect(errorOf(() => sealer.openText(text, "other")).message).not.toContain("secret words");
    expect(() => sealer.openBytes(bytes, "other")).toThrow(SealError);
    for (let at = 6; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => sealer.openBytes(changed, "row")).toThrow(SealError);
      expect(() => sealer.openBytes(bytes.subarray(0, at), "row")).toThrow(SealError);
    }
    expect(() => sealer.openText("sealed.1.one", "row")).toThrow(SealError);
    expect(() => sealer.openText("sealed.1.", "row")).toThrow(SealError);
  });

  test("seals with its first key and opens with every key, so that keys can be changed without a gap", () => {
    const [before, during, after] = [createSealer([one, two]), createSealer([two, one]), createSealer([two])];
    const [old, fresh] = [before.sealText("a", "row"), during.sealText("b", "row")];
    expect(
      [during.openText(old, "row"), before.openText(fresh, "row"), after.openText(fresh, "row")].map(String),
    ).toEqual(["a", "b", "b"]);
    expect([before.isCurrent(old), during.isCurrent(old), during.isCurrent(fresh)]).toEqual([true, false, true]);
  });

  test("names the missing key, once, without any part of the secret", () => {
    const heard: string[] = [];
    const sealer = createSealer([two], (note) => heard.push(note));
    const sealed = createSealer([one]).sealText("a", "row");
    for (let count = 0; count < 3; count += 1)
      expect(errorOf(() => sealer.openText(sealed, "row")).message).toContain('"one", which encryption.keys does not');
    expect(heard).toEqual([
      'stored values are encrypted with the key "one": add it to encryption.keys, or to encryption.lostKeys if it is lost',
    ]);
    expect(sealer.notes()).toEqual([`encryption: ${heard[0]}`]);
    for (let count = 0; count < 100; count += 1)
      expect(() => sealer.openText(`sealed.1.${count}.AAAA`, "row")).toThrow(SealError);
    expect(sealer.notes().length).toBeLessThan(20);
  });

  test("detects another secret under a known id", () => {
    const sealer = createSealer([{ id: "one", secret: two.secret }]);
    expect(() => sealer.openText(createSealer([one]).sealText("a", "row"), "row")).toThrow(/does not open/);
    expect(sealer.notes()[0]).toContain("gives this id to another secret");
  });

  test("without keys stores everything in plain form, and recognises a sealed value anyway", () => {
    expect(plainSealer.sealText("{}", "row")).toBe("{}");
    expect(plainSealer.openText("{}", "row").toString()).toBe("{}");
    expect(createSealer([one]).openText("{}", "row").toString()).toBe("{}");
    expect(plainSealer.digest("abc", "row")).toBe("abc");
    const sealed = createSealer([one]);
    expect(() => plainSealer.openText(sealed.sealText("a", "row"), "row")).toThrow(SealError);
    expect(() => plainSealer.openBytes(sealed.sealBytes(Buffer.from("a"), "row"), "row")).toThrow(SealError);
    expect([plainSealer.isCurrent("{}"), plainSealer.isCurrent(sealed.sealText("a", "row"))]).toEqual([true, false]);
  });

  test("creates digests that are recognised under every key, and differ from row to row", () => {
    const [before, after] = [createSealer([one]), createSealer([two, one])];
    const stored = before.digest("abc", "row");
    expect(stored).not.toContain("abc");
    expect(stored).not.toBe(before.digest("abc", "other"));
    expect(before.digest("abc", "row")).toBe(stored);
    expect(after.digest("abc", "row")).not.toBe(stored);
    expect([after.matches(stored, "abc", "row"), after.matches(stored, "abd", "row")]).toEqual([true, false]);
    expect([after.matches("abc", "abc", "row"), after.matches("abc", "abd", "row")]).toEqual([true, false]);
    expect(() => createSealer([two]).matches(stored, "abc", "row")).toThrow(SealError);
  });
});
