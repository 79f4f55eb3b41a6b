import { createGrpcTransport } from "@connectrpc/connect-node";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { createJackfieldClient, Outcome } from "../../src/client.ts";
import { freePort } from "../support/free-port.ts";
import { haproxyMissing, shippedReplicaFile, startHaproxy } from "../support/haproxy.ts";
import { redisMissing, startRedis } from "../support/redis-server.ts";
import { genesysCall, get, post, sendCallback, sendRun, streamResults } from "./support/requests.ts";
import { until } from "./support/until.ts";
import { startWorld } from "./support/world.ts";

const missing = haproxyMissing() ?? redisMissing();

/** Calls per second, and the duration of each tenth of them in milliseconds. */
const rate = 25;
const slowMs = 3000;

/** Sends calls at a steady rate through four entry points, whatever their results, until it is stopped. */
function startCalls(url: string) {
  const { executor } = createJackfieldClient({ baseUrl: url, transport: createGrpcTransport({ baseUrl: url }) });
  const refused: string[] = [];
  const callIds: string[] = [];
  const runIds: string[] = [];
  const open = new Set<Promise<void>>();
  const stopping = new AbortController();

  async function expectOk(id: string, output: string): Promise<void> {
    if (!output.includes(`"id":"${id}"`)) refused.push(`${id}: ${output}`);
  }

  const ways: ((id: string, args: Record<string, unknown>) => Promise<void>)[] = [
    async (id, args) => {
      const { status, text } = await sendCallback(url, id, "put", args);
      if (status !== 200) refused.push(`${id}: ${status} ${text}`);
      else await expectOk(id, (JSON.parse(text) as { output: string }).output);
    },
    async (id, args) => {
      const { status, text } = await sendRun(url, `run-${id}`, genesysCall(id, "put", args));
      if (status === 202) runIds.push(`run-${id}`);
      else refused.push(`${id}: ${status} ${text}`);
    },
    async (id, args) => {
      const call = { id, name: "put", input: { case: "argumentsJson" as const, value: JSON.stringify(args) } };
      const { result } = await executor.executeTool({ call, context: { runId: "grpc" } });
      if (result?.outcome !== Outcome.OK) refused.push(`${id}: ${result?.output}`);
    },
    async (id, args) => {
      const { status, text } = await post(`${url}/llm-gateway/tools`, {
        conversation_id: "stream",
        tool_calls: [genesysCall(id, "put", args)],
      });
      if (status !== 200) refused.push(`${id}: ${status} ${text}`);
      else await expectOk(id, streamResults(text)[0]?.output ?? "");
    },
  ];

  const sending = (async () => {
    const startedAt = performance.now();
    for (let count = 0; !stopping.signal.aborted; count++) {
      const id = `call-${count}`;
      callIds.push(id);
      const way = ways[count % ways.length] as (typeof ways)[number];
      // One through each entry point, and nine quick ones through each.
      const isSlow = Math.floor(count / ways.length) % 10 === 0;
      const sent: Promise<void> = way(id, { id, delay: isSlow ? slowMs : 20 }).catch(
        (reason: unknown) => void refused.push(`${id}: ${String(reason)}`),
      );
      open.add(sent);
      void sent.then(() => open.delete(sent));
      // By the clock, so that a late timer loses no calls.
      await wait(Math.max(0, startedAt + ((count + 1) * 1000) / rate - performance.now()));
    }
  })();

  return {
    refused,
    callIds,
    runIds,
    async stop() {
      stopping.abort();
      await sending;
      await Promise.all(open);
    },
  };
}

describe.skipIf(missing !== undefined)(
  `a rolling restart behind the shipped HAProxy file${missing === undefined ? "" : ` (${missing})`}`,
  () => {
    test("of two replicas at 25 calls a second, a tenth of them slow, loses and refuses nothing", async () => {
      await using stack = new AsyncDisposableStack();
      const redis = await startRedis(["--appendonly", "yes", "--maxmemory-policy", "noeviction"]);
      stack.defer(() => redis.close());
      const world = stack.use(await startWorld());
      const ports = [await freePort(), await freePort()] as const;
      const config = parse(shippedReplicaFile()) as { shutdown: { delayMs: number } };
      expect(config.shutdown.delayMs).toBeGreaterThan(0);
      const env = { JACKFIELD_ENGINE_URL: redis.url };
      const replicas = await Promise.all(ports.map((port) => world.start({ config: { port, ...config }, env })));
      const proxy = stack.use(await startHaproxy(ports));
      await until(
        "HAProxy takes requests",
        async () => (await get(`${proxy.url}/readyz`).catch(() => undefined))?.status === 200,
      );

      const calls = startCalls(proxy.url);
      await until("both work", () => calls.callIds.length > 2 * rate);
      for (const replica of replicas) {
        replica.signal("SIGTERM");
        expect(await replica.ended()).toEqual({ code: 0, signal: null });
        await replica.start();
      }
      const sent = calls.callIds.length;
      await until("both work again", () => calls.callIds.length > sent + 2 * rate);
      await calls.stop();

      expect(calls.refused).toEqual([]);
      expect(calls.callIds.length).toBeGreaterThan(8 * rate);
      const delivered = (): string[] => [
        ...new Set(world.deliveries.filter(({ status }) => status < 300).map(({ runId }) => runId)),
      ];
      await until("every accepted batch is delivered", () => delivered().length === calls.runIds.length);
      expect(delivered().toSorted()).toEqual(calls.runIds.toSorted());
      expect(world.deliveries.filter(({ body }) => !body.includes('\\"id\\"'))).toEqual([]);
      const effects = world.downstream.requests.map(({ callId }) => callId);
      expect(effects.toSorted()).toEqual(calls.callIds.toSorted());
    }, 180_000);
  },
);
