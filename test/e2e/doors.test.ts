import { describe, expect, test } from "vitest";
import { createJackfieldClient } from "../../src/client.ts";
import { modern, older } from "../adapters/mcp/mcp-client.ts";
import { startReceiver } from "../support/receiver.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { startProcess, testTool, type ProcessOptions } from "../support/service.ts";

// One key is one call of a caller, through every entry point.

const env = { JACKFIELD_API_KEYS: "crm:crm-key,erp:erp-key" };
const key = "crm-key";

/** The answer at one entry point: the outcome, and whether it is the stored answer. */
type Door = (url: string, id: string, seat: string) => Promise<{ outcome: string; replayed: boolean }>;

const doors: Readonly<Record<string, Door>> = {
  async modern(url, id, seat) {
    const { body } = await modern(
      url,
      "tools/call",
      { name: "book", arguments: { seat } },
      { key, meta: { "jackfield/idempotencyKey": id } },
    );
    return ofMcp(body.result?._meta);
  },
  async older(url, id, seat) {
    const { body } = await older(
      url,
      "tools/call",
      { name: "book", arguments: { seat } },
      { key, headers: { "idempotency-key": id } },
    );
    return ofMcp(body.result?._meta);
  },
  async http(url, id, seat) {
    const response = await fetch(`${url}/tools/book`, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": key, "idempotency-key": id },
      body: JSON.stringify({ seat }),
    });
    return (await response.json()) as { outcome: string; replayed: boolean };
  },
  async rpc(url, id, seat) {
    const { executor } = createJackfieldClient({ baseUrl: url, apiKey: key });
    const { result } = await executor.executeTool({
      call: { id, name: "book", input: { case: "arguments", value: { seat } } },
      context: { runId: "idempotency-key" },
    });
    return { outcome: result?.error === undefined ? "OK" : result.error.message, replayed: result?.replayed ?? false };
  },
};

function ofMcp(meta: Record<string, unknown> | undefined): { outcome: string; replayed: boolean } {
  return { outcome: String(meta?.["jackfield/outcome"]), replayed: meta?.["jackfield/replayed"] === true };
}

/** Starts a back office whose answers wait until the test releases them, and records its requests. */
async function startOffice() {
  let release = Promise.withResolvers<void>();
  release.resolve();
  const office = await startReceiver(async ({ path }) => {
    await release.promise;
    return { body: { path } };
  });
  return {
    url: office.url,
    bookings: (seat: string) => office.received.filter(({ path }) => path === `/seats/${seat}`).length,
    hold: () => void (release = Promise.withResolvers<void>()),
    release: () => release.resolve(),
    [Symbol.asyncDispose]: () => office[Symbol.asyncDispose](),
  };
}

const optionsFor = (baseUrl: string, over: ProcessOptions = {}): ProcessOptions => ({
  ...over,
  env: { ...env, ...over.env },
  plugins: [{ use: testTool("nap") }, { use: testTool("book"), config: { baseUrl }, limits: { timeoutMs: 3000 } }],
});

test(
  "the same key over MCP, HTTP and RPC at the same time, and across kill -9, has one effect",
  { timeout: 60_000 },
  async () => {
    await using office = await startOffice();
    using data = scratchFolder("jackfield-doors");
    const options = optionsFor(office.url, { dataDir: data.path });
    await using first = await startProcess(options);
    await first.ready();
    office.hold();
    const answers = Promise.all(Object.values(doors).map((door) => door(first.url, "k-1", "one")));
    await expect.poll(() => office.bookings("one")).toBe(1);
    office.release();
    for (const { outcome } of await answers) expect(outcome).toBe("OK");
    expect(office.bookings("one")).toBe(1);

    office.hold();
    const lost = Promise.allSettled(Object.values(doors).map((door) => door(first.url, "k-2", "two")));
    await expect.poll(() => office.bookings("two")).toBe(1);
    first.child.kill("SIGKILL");
    await first.ended();
    await lost;
    office.release();
    await using second = await startProcess(options);
    await second.ready();
    for (const [name, door] of Object.entries(doors)) {
      expect([name, await door(second.url, "k-1", "one")]).toMatchObject([name, { outcome: "OK", replayed: true }]);
      const unknown = /UNCERTAIN|not known whether this request took effect/;
      await expect
        .poll(async () => (await door(second.url, "k-2", "two")).outcome, { timeout: 20_000 })
        .toMatch(unknown);
    }
    expect([office.bookings("one"), office.bookings("two")]).toEqual([1, 1]);
  },
);

const noRedis = redisMissing();

describe.skipIf(noRedis !== undefined)(
  `with two replicas on Redis${noRedis === undefined ? "" : ` (${noRedis})`}`,
  () => {
    test(
      "a key has one effect, and each replica knows the other's task, state and requestState",
      { timeout: 60_000 },
      async () => {
        const redis = await startRedis([
          "--appendonly",
          "yes",
          "--appendfsync",
          "always",
          "--maxmemory-policy",
          "noeviction",
        ]);
        try {
          await using office = await startOffice();
          const over = { env: { JACKFIELD_ENGINE_URL: redis.url } };
          const yaml = { adapters: { mcp: { taskAfterMs: 100, answerWithinMs: 200 } } };
          await using left = await startProcess({ ...optionsFor(office.url, over), yaml });
          await using right = await startProcess({ ...optionsFor(office.url, over), yaml });
          await Promise.all([left.ready(), right.ready()]);

          office.hold();
          const call = { name: "book", arguments: { seat: "task" } };
          const options = { key, tasks: true, meta: { "jackfield/idempotencyKey": "t-1" } };
          const started = await modern(left.url, "tools/call", call, options);
          const taskId = started.body.result?.["taskId"] as unknown as string;
          expect(taskId).toBeTypeOf("string");
          const seen = await modern(right.url, "tasks/get", { taskId }, options);
          expect(seen.body.result).toMatchObject({ taskId, status: "working" });
          const again = await modern(right.url, "tools/call", call, options);
          expect(again.body.result).toMatchObject({ resultType: "task", taskId });
          const stranger = await modern(right.url, "tasks/get", { taskId }, { ...options, key: "erp-key" });
          expect(stranger.body.error?.message).toBe("Task not found");

          const slow = { name: "book", arguments: { seat: "state" } };
          const waiting = await modern(left.url, "tools/call", slow, { key });
          const requestState = waiting.body.result?.["requestState"];
          expect(requestState).toBeTypeOf("string");
          office.release();
          for (const url of [right.url, left.url]) {
            await expect
              .poll(async () => (await modern(url, "tasks/get", { taskId }, options)).body.result, { timeout: 15_000 })
              .toMatchObject({ status: "completed", result: { structuredContent: { path: "/seats/task" } } });
          }
          const answer = await modern(right.url, "tools/call", { ...slow, requestState }, { key });
          expect(answer.body.result).toMatchObject({
            resultType: "complete",
            structuredContent: { path: "/seats/state" },
          });

          const answers = await Promise.all(
            Object.values(doors).flatMap((door) => [left, right].map(({ url }) => door(url, "r-1", "both"))),
          );
          for (const { outcome } of answers) expect(outcome).toMatch(/OK|PENDING/);
          expect(["task", "state", "both"].map(office.bookings)).toEqual([1, 1, 1]);
        } finally {
          await redis.close();
        }
      },
    );
  },
);
