import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { createJackfieldClient, Outcome } from "../../src/client.ts";
import { redisMissing, startRedis, type RedisServer } from "../support/redis-server.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { genesysCall, post, sendCallback, sendRun, streamResults } from "./support/requests.ts";
import type { Service } from "./support/service.ts";
import { until } from "./support/until.ts";
import { startWorld, type World } from "./support/world.ts";

const noRedis = redisMissing();
/** Number of concurrent duplicates; JACKFIELD_DUPLICATES=1000 is the long form. */
const many = Number(process.env["JACKFIELD_DUPLICATES"] ?? 300);

describe.skipIf(noRedis !== undefined)(
  `${many} concurrent duplicates of one write, over two replicas${noRedis === undefined ? "" : ` (${noRedis})`}`,
  () => {
    let redis: RedisServer;
    let world: World;
    let replicas: readonly [Service, Service];

    beforeAll(async () => {
      redis = await startRedis(["--appendonly", "yes", "--maxmemory-policy", "noeviction"]);
      world = await startWorld();
      const env = { JACKFIELD_ENGINE_URL: redis.url };
      replicas = await Promise.all([world.start({ env }), world.start({ env })]);
    }, 60_000);

    afterAll(async () => {
      await world[Symbol.asyncDispose]();
      await redis.close();
    });

    const urlOf = (number: number): string => replicas[number % 2 === 0 ? 0 : 1].url;
    const executions = (callId: string): number =>
      world.downstream.requests.filter((request) => request.callId === callId).length;

    /** Sends everything, and lets the one execution end only when the downstream has had time for a second one. */
    async function sendConcurrently<T>(send: (number: number) => Promise<T>): Promise<T[]> {
      const release = world.downstream.hold();
      const all = Promise.all(Array.from({ length: many }, (_, number) => send(number)));
      await until("the downstream is asked", () => world.downstream.busy > 0);
      release();
      return await all;
    }

    testRequirement(
      ["003.7", "fault-003.duplicate"],
      "through Cognigy's callback",
      async () => {
        const replies = await sendConcurrently((number) =>
          sendCallback(urlOf(number), "cognigy-1", "put", { id: "x", delay: 300 }),
        );
        expect(new Set(replies.map(({ status, text }) => `${status} ${text}`)).size).toBe(1);
        expect(replies[0]?.text).toContain('\\"number\\"');
        expect(executions("cognigy-1")).toBe(1);
      },
      60_000,
    );

    testRequirement(
      "fault-003.duplicate",
      "through Genesys' LLM gateway",
      async () => {
        const body = {
          conversation_id: "conversation",
          tool_calls: [genesysCall("gateway-1", "put", { id: "x", delay: 300 })],
        };
        const replies = await sendConcurrently((number) => post(`${urlOf(number)}/llm-gateway/tools`, body));
        expect(new Set(replies.map(({ status, text }) => JSON.stringify([status, streamResults(text)]))).size).toBe(1);
        expect(streamResults(replies[0]?.text ?? "")[0]?.output).toContain('"number"');
        expect(executions("gateway-1")).toBe(1);
      },
      60_000,
    );

    testRequirement(
      "001.11",
      "through Genesys' AI Gateway: one job, one delivery",
      async () => {
        const call = genesysCall("run-1", "put", { id: "x", delay: 300 });
        const replies = await sendConcurrently((number) => sendRun(urlOf(number), "run", call));
        expect(new Set(replies.map(({ status, headers }) => `${status} ${headers.get("jackfield-job-id")}`)).size).toBe(
          1,
        );
        expect(replies[0]?.status).toBe(202);
        await until("it is delivered", () => world.deliveries.some(({ runId }) => runId === "run"));
        expect((await sendRun(urlOf(0), "run", call)).headers.get("jackfield-job-id")).toBe(
          replies[0]?.headers.get("jackfield-job-id"),
        );
        // A later run that is delivered proves that no second delivery of the first one waits before it.
        await sendRun(urlOf(1), "later", genesysCall("later", "put"));
        await until("the later one is delivered", () => world.deliveries.some(({ runId }) => runId === "later"));
        expect(world.deliveries.filter(({ runId }) => runId === "run")).toHaveLength(1);
        expect(executions("run-1")).toBe(1);
      },
      60_000,
    );

    testRequirement(
      "001.11",
      "through gRPC and Connect concurrently",
      async () => {
        const clients = replicas.flatMap(({ url: baseUrl }) => [
          createJackfieldClient({ baseUrl, transport: createGrpcTransport({ baseUrl }) }),
          createJackfieldClient({ baseUrl, transport: createConnectTransport({ baseUrl, httpVersion: "2" }) }),
        ]);
        const results = await sendConcurrently(async (number) => {
          const { executor } = clients[number % clients.length]!;
          const { result } = await executor.executeTool({
            call: { id: "rpc-1", name: "put", input: { case: "arguments", value: { id: "x", delay: 300 } } },
            context: { conversationId: "conversation" },
          });
          return result!;
        });
        expect(new Set(results.map(({ outcome, output }) => `${outcome} ${output}`)).size).toBe(1);
        expect(results[0]?.outcome).toBe(Outcome.OK);
        expect(results[0]?.output).toContain('"number"');
        expect(executions("rpc-1")).toBe(1);
      },
      60_000,
    );
  },
);
