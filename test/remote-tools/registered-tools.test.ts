import { describe, expect, onTestFinished, test } from "vitest";
import { createSqliteRegisteredTools } from "../../src/remote-tools/drivers/sqlite.ts";
import { openSqliteStore } from "../../src/store/sqlite.ts";
import { caller } from "../support/executor.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { embedded, httpTo, startReplica, startTarget, tool } from "./replica.ts";

describe("a registered tool", () => {
  testRequirement("002.1", "is there after a restart", async () => {
    const target = await startTarget((body) => ({ body }));
    const folder = scratchFolder();
    onTestFinished(() => folder[Symbol.dispose]());
    {
      const store = await openSqliteStore({ folder: folder.path });
      const app = await startReplica(createSqliteRegisteredTools(store));
      await app.register(tool, httpTo(target.url, { "X-Key": "kept-over-restarts" }));
      await app.close();
      await store.close();
    }
    const store = await openSqliteStore({ folder: folder.path });
    onTestFinished(() => store.close());
    const app = await startReplica(createSqliteRegisteredTools(store));
    expect(await app.call({ a: 1 })).toMatchObject({ outcome: "OK", output: '{"a":1}' });
    expect(target.requests.at(-1)?.request.headers["x-key"]).toBe("kept-over-restarts");
  });

  test("belongs to the tenant of its caller: no other one sees, replaces or withdraws it (hazard 24)", async () => {
    const ours = await startTarget((body) => ({ body: { ours: JSON.parse(body) as unknown } }));
    const theirs = await startTarget((body) => ({ body: { theirs: JSON.parse(body) as unknown } }));
    const store = await embedded();
    const app = await startReplica(store);
    const colleague = { ...caller, name: "colleague" };
    const stranger = { ...caller, name: "stranger", tenant: "other" };
    await app.register(tool, httpTo(ours.url));
    expect(await app.call({}, "work", stranger)).toMatchObject({ outcome: "UNKNOWN_TOOL" });
    expect(app.registry.list("other")).toEqual([]);
    expect(await app.unregister("work", stranger)).toBe(false);
    await app.register(tool, httpTo(theirs.url), "", stranger);
    expect((await app.call({ a: 1 })).output).toBe('{"ours":{"a":1}}');
    expect((await app.call({ a: 1 }, "work", stranger)).output).toBe('{"theirs":{"a":1}}');
    expect((await app.call({ a: 1 }, "work", colleague)).output).toBe('{"ours":{"a":1}}');

    const restarted = await startReplica(store);
    expect((await restarted.call({ a: 2 })).output).toBe('{"ours":{"a":2}}');
    expect((await restarted.call({ a: 2 }, "work", stranger)).output).toBe('{"theirs":{"a":2}}');

    await app.register(tool, httpTo(ours.url), "", colleague);
    expect(await app.unregister("work", stranger)).toBe(true);
    expect(await app.call({}, "work", stranger)).toMatchObject({ outcome: "UNKNOWN_TOOL" });
    expect(await app.call()).toMatchObject({ outcome: "OK" });
    expect(app.audit.map(({ event, caller: by, tenant }) => [event, by, tenant])).toEqual([
      ["tool_registered", "test", "default"],
      ["tool_registered", "stranger", "other"],
      ["tool_replaced", "colleague", "default"],
      ["tool_withdrawn", "stranger", "other"],
    ]);
  });

  test("that can no longer be loaded is a note, and the others are listed", async () => {
    const store = await embedded();
    await store.save({ key: "default/broken", text: "{" });
    await store.save({ key: "default/hollow", text: '{"owner":"test","request":{}}' });
    await store.save({
      key: "default/odd",
      text: JSON.stringify({
        owner: "test",
        request: {
          tool: { name: "odd", description: "Odd.", inputSchema: { type: "dict" } },
          target: { http: { url: "https://example.com/" } },
        },
      }),
    });
    const target = await startTarget(() => ({ body: 1 }));
    const first = await startReplica(store);
    await first.register(tool, httpTo(target.url));
    const app = await startReplica(store);
    expect(await app.call()).toMatchObject({ outcome: "OK" });
    const { problems, notes } = await app.remote.check();
    expect(problems).toEqual([]);
    expect(notes).toHaveLength(3);
    expect(notes[2]).toMatch(/tool odd: .*"dict".*object/);
    expect(await app.unregister("odd")).toBe(true);
  });

  test("is available immediately among 2,000 others", async () => {
    const store = await embedded();
    const schema = {
      type: "object",
      properties: { a: { type: "string", minLength: 1 }, b: { type: "integer" } },
      required: ["a"],
    };
    const target = { http: { url: "https://example.com/" } };
    await Promise.all(
      Array.from({ length: 2000 }, (_, index) => {
        const name = `tool_${index}`;
        return store.save({
          key: `default/${name}`,
          text: JSON.stringify({
            owner: "test",
            request: { tool: { name, description: "One of many.", inputSchema: schema }, target },
          }),
        });
      }),
    );
    const app = await startReplica(store);
    expect(app.registry.list(caller.tenant)).toHaveLength(2000);
    expect(await app.call({}, "tool_1999")).toMatchObject({ outcome: "INVALID_ARGUMENTS" });
  }, 30_000);
});
