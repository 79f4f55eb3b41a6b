import { Code, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Jobs } from "../../gen/jackfield/v1/jobs_pb.ts";
import { Conversations } from "../../gen/jackfield/v1/conversations_pb.ts";
import { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { post, readAnswer } from "../support/http-client.ts";
import { startService, testTool, type ServiceUnderTest } from "../support/service.ts";

const entryPoints = ["connect", "grpc", "grpc-web", "stream", "jobs", "conversation", "http", "mcp"] as const;
type EntryPoint = (typeof entryPoints)[number];

let service: ServiceUnderTest;
beforeAll(async () => {
  service = await startService({
    yaml: {
      callers: entryPoints.map((name) => ({
        // Callers may have the names of adapters.
        name,
        keys: [`${name}-key`],
        scopes: ["admin"],
        // One request, and then none for a quarter of an hour.
        rateLimit: { requestsPerSecond: 0.001, burst: 1 },
      })),
    },
    plugins: [{ use: testTool("echo") }],
  });
}, 60_000);
afterAll(() => service[Symbol.asyncDispose]());

const call = { id: "a", name: "echo" };

function transports(way: EntryPoint): Record<"connect" | "grpc" | "web", Transport> {
  const interceptors = [
    (next) => (request) => (request.header.set("authorization", `Bearer ${way}-key`), next(request)),
  ] satisfies Parameters<typeof createConnectTransport>[0]["interceptors"];
  const baseUrl = service.url;
  return {
    connect: createConnectTransport({ baseUrl, httpVersion: "1.1", interceptors }),
    grpc: createGrpcTransport({ baseUrl, interceptors }),
    web: createGrpcWebTransport({ baseUrl, httpVersion: "1.1", interceptors }),
  };
}

const rpcs: Record<
  Exclude<EntryPoint, "http" | "mcp">,
  (transport: ReturnType<typeof transports>) => Promise<unknown>
> = {
  connect: ({ connect }) => createClient(ToolExecutor, connect).executeTool({ call }),
  grpc: ({ grpc }) => createClient(ToolExecutor, grpc).executeTool({ call }),
  "grpc-web": ({ web }) => createClient(ToolExecutor, web).executeTool({ call }),
  stream: ({ grpc }) => Array.fromAsync(createClient(ToolExecutor, grpc).executeTools({ calls: [call] })),
  jobs: ({ connect }) => createClient(Jobs, connect).submitJob({ job: { calls: [call] } }),
  conversation: ({ connect }) =>
    Array.fromAsync(createClient(Conversations, connect).runConversation({ message: "Good morning" })),
};

test.each(Object.entries(rpcs))(
  "%s: a caller that exceeds its rate gets resource_exhausted and the time to wait",
  async (way, run) => {
    const over = transports(way as EntryPoint);
    await run(over);
    await expect(run(over)).rejects.toMatchObject({ code: Code.ResourceExhausted });
    await expect(run(over)).rejects.toSatisfy(
      (error: { metadata: Headers }) => Number(error.metadata.get("retry-after")) > 100,
    );
  },
);

test.each([
  ["http", "/tools/echo", {}],
  ["mcp", "/mcp", { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "echo", arguments: {} } }],
] as const)("%s: a caller that exceeds its rate gets 429 and the time to wait", async (way, path, body) => {
  const send = () => readAnswer(post(`${service.url}${path}`, body, { authorization: `Bearer ${way}-key` }));
  expect((await send()).status).toBe(200);
  const { status, text, headers } = await send();
  expect([status, Number(headers.get("retry-after")) > 100]).toEqual([429, true]);
  expect(text).toMatch(/this caller sends too many requests: try again in \d+ s/);
});
