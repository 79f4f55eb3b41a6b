import { describe, expect, onTestFinished, test, vi } from "vitest";
import { createPostgresRegisteredTools } from "../../src/remote-tools/drivers/postgres.ts";
import { createRedisRegisteredTools } from "../../src/remote-tools/drivers/redis.ts";
import type { RegisteredTools } from "../../src/remote-tools/registered-tools.ts";
import { openPostgresStore } from "../../src/store/postgres.ts";
import { openRedisStore } from "../../src/store/redis.ts";
import { Code } from "@connectrpc/connect";
import { postgresMissing, startPostgres } from "../support/postgres-server.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { caller } from "../support/executor.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { httpTo, refusal, startReplica, startTarget, tool } from "./replica.ts";

interface Engine {
  readonly missing: string | undefined;
  start(): Promise<{ url: string; kill(): Promise<void>; start(): Promise<void>; close(): Promise<void> }>;
  open(url: string): Promise<RegisteredTools>;
}

const engines: Record<string, Engine> = {
  Redis: {
    missing: redisMissing(),
    start: () => startRedis(),
    async open(url) {
      const store = await openRedisStore({ url });
      onTestFinished(() => store.close());
      return createRedisRegisteredTools(store);
    },
  },
  PostgreSQL: {
    missing: postgresMissing(),
    start: () => startPostgres(),
    async open(url) {
      const store = await openPostgresStore({ url });
      onTestFinished(() => store.close());
      return createPostgresRegisteredTools(store);
    },
  },
};

for (const [name, engine] of Object.entries(engines)) {
  describe.skipIf(engine.missing !== undefined)(`on ${name}`, () => {
    testRequirement(
      "002.1",
      `a tool registered on one replica is on all within 2 s, replaced and withdrawn too (${name})`,
      async () => {
        const server = await engine.start();
        onTestFinished(() => server.close());
        const target = await startTarget(() => ({ body: '"one"' }));
        const better = await startTarget(() => ({ body: '"two"' }));
        const here = await startReplica(await engine.open(server.url), { pollMs: 1000 });
        const there = await startReplica(await engine.open(server.url), { pollMs: 1000 });
        const within2s = { timeout: 2000, interval: 20 };
        await here.register(tool, httpTo(target.url));
        await vi.waitFor(
          async () => expect(await there.call()).toMatchObject({ outcome: "OK", output: "one" }),
          within2s,
        );
        await there.register(tool, httpTo(better.url));
        await vi.waitFor(
          async () => expect(await here.call()).toMatchObject({ outcome: "OK", output: "two" }),
          within2s,
        );
        expect(await here.unregister("work")).toBe(true);
        await vi.waitFor(() => expect(there.registry.get("work", caller.tenant)).toBeUndefined(), within2s);
        expect(await there.unregister("work")).toBe(false);
        // At once, without polling in between.
        await here.register(tool, httpTo(target.url));
        expect(await there.unregister("work")).toBe(true);
      },
      30_000,
    );

    test("while the engine is unavailable registered tools work, registration is unavailable, and afterwards everything works", async () => {
      const server = await engine.start();
      onTestFinished(() => server.close());
      const target = await startTarget(() => ({ body: 1 }));
      const app = await startReplica(await engine.open(server.url));
      await app.register(tool, httpTo(target.url));
      await server.kill();
      const refused = await refusal(app.register({ ...tool, name: "other" }, httpTo(target.url)));
      expect(refused.code).toBe(Code.Unavailable);
      expect(await app.call()).toMatchObject({ outcome: "OK" });
      const late = await startReplica(await engine.open(server.url));
      expect(late.registry.list(caller.tenant)).toEqual([]);
      await server.start();
      await vi.waitFor(() => expect(late.registry.get("work", caller.tenant)).toBeDefined(), { timeout: 10_000 });
    }, 30_000);
  });
}
