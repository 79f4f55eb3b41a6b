import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createSealer } from "../../src/store/sealer.ts";
import { holds, type SealedStage, sealedStages } from "../support/sealed-stores.ts";
import { httpTo, startReplica, startTarget, tool } from "./replica.ts";

const [one, two] = [
  { id: "one", secret: randomBytes(32) },
  { id: "two", secret: randomBytes(32) },
];

for (const [name, { missing, open }] of Object.entries(sealedStages)) {
  describe.skipIf(missing !== undefined)(`registered tools that are encrypted in ${name}`, () => {
    let stage: SealedStage;
    beforeAll(async () => (stage = await open()));
    afterAll(() => stage.close());

    test("headers are stored in unreadable form, work on the next replica, and move to a new key at its start", async () => {
      const target = await startTarget((_, request) => ({ body: JSON.stringify(request.headers["authorization"]) }));
      const stored = async (): Promise<string | undefined> =>
        (await stage.registered().load())?.tools.find(({ key }) => key.endsWith("/work"))?.text;
      const start = (...keys: { id: string; secret: Uint8Array }[]) =>
        startReplica(stage.registered(), { sealer: createSealer(keys), pollMs: 60_000 });

      const plain = await startReplica(stage.registered(), { pollMs: 60_000 });
      await plain.register({ ...tool, name: "open" }, httpTo(target.url, { authorization: "Bearer a-plain-token" }));
      expect(holds(await stage.dump(), "a-plain-token")).toBe(true);

      const first = await start(one);
      await first.register(tool, httpTo(target.url, { authorization: "Bearer a-secret-token" }));
      expect(holds(await stage.dump(), "a-secret-token")).toBe(false);
      expect(await stored()).toMatch(/^sealed\.1\.one\./);
      // The earlier tool has been encrypted since the start.
      expect((await stage.registered().load())?.tools.map(({ text }) => text.slice(0, 13))).toEqual([
        "sealed.1.one.",
        "sealed.1.one.",
      ]);

      const next = await start(two, one);
      expect(await stored()).toMatch(/^sealed\.1\.two\./);
      expect(await next.call()).toMatchObject({ outcome: "OK" });
      expect(target.requests.at(-1)?.request.headers["authorization"]).toBe("Bearer a-secret-token");

      const without = await start(one);
      expect(await without.call()).toMatchObject({ outcome: "UNKNOWN_TOOL" });
      expect((await without.remote.check()).notes).toContain(
        'tool work: its stored registration cannot be read: it is encrypted with the key "two", which encryption.keys does not contain',
      );
      // It was not changed.
      expect(await (await start(two)).call()).toMatchObject({ outcome: "OK" });
    });

    test("a registration that another one has replaced in the meantime is not overwritten", async () => {
      const tools = stage.registered();
      await tools.save({ key: "default/raced", text: "old" });
      await tools.replace({ key: "default/raced", text: "resealed" }, "older");
      expect((await tools.load())?.tools.find(({ key }) => key === "default/raced")?.text).toBe("old");
      await tools.replace({ key: "default/raced", text: "resealed" }, "old");
      expect((await tools.load())?.tools.find(({ key }) => key === "default/raced")?.text).toBe("resealed");
    });
  });
}
