import { once } from "node:events";
import * as http2 from "node:http2";
import { Code, type ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Health } from "../../gen/health/v1/health_pb.ts";
import { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { ToolRegistry } from "../../gen/jackfield/v1/tool_registry_pb.ts";
import type { Caller } from "../../src/auth/caller.ts";
import { createChallenges } from "../../src/auth/challenge.ts";
import { createFront } from "../../src/rpc/front.ts";
import { createInProcessTransport } from "../../src/rpc/in-process/transport.ts";
import { createAccessRefusals } from "../../src/telemetry/access-refusals.ts";
import { exchange1 } from "./raw-exchange.ts";
import {
  createListener,
  createParts,
  createServices,
  createWatchedTelemetry,
  limits,
  local,
  serve,
} from "./rpc-kit.ts";

const page = "https://console.example.com";
const slow: Caller = { ...local, name: "slow", rateLimit: { requestsPerSecond: 0.001, burst: 3 } };
const reader: Caller = { ...local, name: "reader", tenant: "t1", scopes: new Set(["tools:read"]) };
const callers = new Map<string | undefined, Caller>([
  ["Bearer root", local],
  ["Bearer slow", slow],
  ["Bearer reader", reader],
]);
const watched = createWatchedTelemetry();
const audit: Record<string, unknown>[] = [];
const refused: string[] = [];
const telemetry = {
  ...watched.telemetry,
  audit: { ...watched.telemetry.audit, write: (event: Record<string, unknown>) => void audit.push(event) },
  metrics: {
    ...watched.telemetry.metrics,
    accessRefused: ({ code, target }: { code: string; target: string }) => void refused.push(`${code} ${target}`),
  },
};
const refusals = createAccessRefusals(telemetry);
const challenges = createChallenges("https://x/meta");
const front = createFront({ telemetry, authenticate: (header) => callers.get(header), refusals, challenges });
const remoteTools = { register: async () => ({}) as never, unregister: async () => false };
const services = createServices(createParts({ telemetry, remoteTools }));
let server: Awaited<ReturnType<typeof serve>>;

beforeAll(async () => {
  const messages = { readMaxBytes: limits.bodyBytes, maxItems: limits.callsPerRequest };
  server = await serve(await createListener({ services, front, telemetry, messages, corsOrigins: [page] }));
});
afterAll(() => server[Symbol.asyncDispose]());

const call = { name: "echo" };
/** Clients of all entry points: the fast path in two protocols, Connect's handlers, and in process. */
function entryPointsFor(key: string, caller: Caller) {
  const interceptors = [
    (next) => (request) => (request.header.set("authorization", `Bearer ${key}`), next(request)),
  ] satisfies Parameters<typeof createConnectTransport>[0]["interceptors"];
  const connect = createClient(
    ToolExecutor,
    createConnectTransport({ baseUrl: server.url1, httpVersion: "1.1", interceptors }),
  );
  const grpc = createClient(ToolExecutor, createGrpcTransport({ baseUrl: server.url2, interceptors }));
  const web = createClient(
    ToolExecutor,
    createGrpcWebTransport({ baseUrl: server.url1, httpVersion: "1.1", interceptors }),
  );
  const inside = createClient(ToolExecutor, createInProcessTransport(services, { caller, front }));
  const stream = (client: typeof connect) => Array.fromAsync(client.executeTools({ calls: [call] }));
  return {
    connect: () => connect.executeTool({ call }),
    grpc: () => grpc.executeTool({ call }),
    "gRPC-Web stream": () => stream(web),
    "Connect stream": () => stream(connect),
    "in process": () => inside.executeTool({ call }),
    "in-process stream": () => stream(inside),
  };
}

test("a caller's rate counts over all entry points, separately from other callers", async () => {
  const ways = Object.values(entryPointsFor("slow", slow));
  for (const way of ways.slice(1, 4)) await way();
  for (const way of ways) {
    await expect(way()).rejects.toMatchObject({ code: Code.ResourceExhausted });
  }
  await expect(ways[0]!()).rejects.toSatisfy(
    (error: { metadata: Headers }) => Number(error.metadata.get("retry-after")) > 0,
  );
  for (const way of Object.values(entryPointsFor("root", local))) await way();
});

test.each(["connect", "grpc", "gRPC-Web stream", "Connect stream", "in process", "in-process stream"] as const)(
  "%s: a missing scope is refused, counted and observed in the same way, and leaves an audit line",
  async (way) => {
    audit.length = refused.length = watched.served.length = 0;
    await expect(entryPointsFor("reader", reader)[way]()).rejects.toMatchObject({ code: Code.PermissionDenied });
    const method = `jackfield.v1.ToolExecutor/ExecuteTool${way.endsWith("stream") ? "s" : ""}`;
    expect(watched.served).toMatchObject([{ method, code: "permission_denied" }]);
    expect(refused).toEqual([`permission_denied ${method}`]);
    expect(audit).toMatchObject([
      { event: "access_refused", code: "permission_denied", target: method, caller: "reader", tenant: "t1" },
    ]);
    refusals.close();
  },
);

test.each(["connect", "grpc", "gRPC-Web stream", "Connect stream"] as const)(
  "%s: a refused caller learns how to authenticate, and which scope it lacks (DOORS 4)",
  async (way) => {
    const challengeFor = async (key: string, caller: Caller) => {
      const asked = entryPointsFor(key, caller)[way]();
      const error: unknown = await asked.catch((reason: unknown) => reason);
      return (error as ConnectError).metadata.get("www-authenticate");
    };
    expect(await challengeFor("wrong", local)).toBe(challenges.invalid);
    expect(await challengeFor("reader", reader)).toBe(challenges.insufficient("tools:execute"));
  },
);

test("a caller without a key gets the challenge as a header of the 401, which web pages may read", async () => {
  const body = Buffer.from("{}");
  for (const [method, type] of [
    ["ExecuteTool", "application/json"],
    ["ExecuteTools", "application/connect+json"],
  ] as const) {
    const headers = { origin: page, "content-type": type };
    const answer = await exchange1(server.url1, { path: `/jackfield.v1.ToolExecutor/${method}`, headers, body });
    if (method === "ExecuteTool") {
      expect([answer.status, answer.headers["www-authenticate"]]).toEqual([401, challenges.missing]);
      expect(answer.headers["access-control-expose-headers"]).toContain("WWW-Authenticate");
    } else expect(answer.body.toString()).toContain("www-authenticate");
  }
});

test("a flood of wrong keys is counted in full and leaves 20 audit lines a second plus one with the number of the others (hazard 24)", async () => {
  refusals.close();
  audit.length = refused.length = 0;
  const { connect, "Connect stream": stream } = entryPointsFor("wrong", local);
  for (let index = 0; index < 30; index += 1) {
    await expect(connect()).rejects.toMatchObject({ code: Code.Unauthenticated });
    await expect(stream()).rejects.toMatchObject({ code: Code.Unauthenticated });
  }
  refusals.close();
  expect(refused).toHaveLength(60);
  const single = audit.filter(({ count }) => count === undefined).length;
  const further = audit.reduce((sum, { count }) => sum + Number(count ?? 0), 0);
  expect(single + further).toBe(60);
  expect(audit.length).toBeLessThan(60);
  expect(JSON.stringify(audit)).not.toContain("wrong");
});

test("methods that only read can be called by GET, others cannot", async () => {
  const get = (method: string) =>
    exchange1(server.url1, {
      method: "GET",
      path: `/jackfield.v1.ToolExecutor/${method}?connect=v1&encoding=json&message=${encodeURIComponent("{}")}`,
      headers: { authorization: "Bearer root" },
      body: Buffer.alloc(0),
    });
  const listed = await get("ListTools");
  expect([listed.status, JSON.parse(listed.body.toString())]).toMatchObject([
    200,
    { tools: [{ name: "echo" }, { name: "get_a" }, { name: "get_b" }, { name: "set_a" }] },
  ]);
  const notGet = await get("ExecuteTool");
  expect([notGet.status, notGet.headers["allow"]]).toEqual([405, "POST"]);
  const put = { method: "PUT", path: "/jackfield.v1.ToolExecutor/ListTools", headers: {}, body: Buffer.alloc(0) };
  expect((await exchange1(server.url1, put)).headers["allow"]).toBe("POST, GET");
  expect((await get("ListTools?")).status).toBeLessThan(500);
});

test("an unreadable message is the caller's mistake, also by GET and from a web page, and ends its call", async () => {
  const get = (query: string) =>
    exchange1(server.url1, {
      method: "GET",
      path: `/jackfield.v1.ToolExecutor/ListTools?connect=v1&${query}`,
      headers: { authorization: "Bearer root" },
      body: Buffer.alloc(0),
    });
  const before = watched.served.length;
  for (const query of [
    "encoding=proto&message=%00",
    "encoding=json&message=%7B",
    "encoding=proto&base64=1&message=AA",
  ]) {
    const answer = await get(query);
    expect([query, answer.status, JSON.parse(answer.body.toString())]).toMatchObject([
      query,
      400,
      { code: "invalid_argument", message: expect.stringMatching(/./) as string },
    ]);
  }
  expect(watched.served.slice(before).map(({ code }) => code)).toEqual(Array(3).fill("invalid_argument"));
  for (const [type, body] of [
    ["application/proto", Buffer.from([0])],
    ["application/grpc-web+proto", Buffer.from([0, 0, 0, 0, 1, 0])],
  ] as const) {
    const path = "/jackfield.v1.ToolExecutor/ExecuteTool";
    const headers = { origin: page, "content-type": type, authorization: "Bearer root" };
    const answer = await exchange1(server.url1, { path, headers, body });
    expect(answer.body.toString()).toMatch(/invalid_argument|grpc-status: 3\r/);
    expect(answer.headers["access-control-allow-origin"]).toBe(page);
  }
  expect(watched.served.at(-1)).toMatchObject({ code: "invalid_argument" });
  expect(watched.lines.join("")).not.toContain("an RPC failed");
});

test("the message of an error is short, whatever it quotes, because gRPC sends it in one frame", async () => {
  const interceptors = [
    (next) => (request) => (request.header.set("authorization", "Bearer root"), next(request)),
  ] satisfies Parameters<typeof createGrpcTransport>[0]["interceptors"];
  const registry = createClient(ToolRegistry, createGrpcTransport({ baseUrl: server.url2, interceptors }));
  const failed: unknown = await registry.unregisterTool({ name: "名".repeat(20_000) }).catch((error: unknown) => error);
  const rawMessage = expect.stringMatching(/^no registered tool "名+…$/) as string;
  expect(failed).toMatchObject({ code: Code.NotFound, rawMessage });
  expect((failed as { rawMessage: string }).rawMessage).toHaveLength(1024);

  const session = http2.connect(server.url2);
  const path = `/jackfield.v1.ToolExecutor/${"名".repeat(1500)}`;
  const stream = session.request({ ":method": "POST", ":path": encodeURI(path), "content-type": "application/grpc" });
  const [trailers] = (await once(stream.end().resume(), "trailers")) as [http2.IncomingHttpHeaders];
  session.close();
  expect(trailers["grpc-status"]).toBe("12");
  expect(trailers["grpc-message"]?.length).toBeLessThan(3100);
});

test("a page of a configured origin may call, by Connect and gRPC-Web, and no other", async () => {
  const ask = (origin: string, method: string, type: string, body: Buffer) =>
    exchange1(server.url1, {
      method,
      path: "/jackfield.v1.ToolExecutor/ExecuteTool",
      headers: { origin, "content-type": type, authorization: "Bearer root" },
      body,
    });
  const json = Buffer.from('{"call":{"name":"echo"}}');
  const preflight = await ask(page, "OPTIONS", "text/plain", Buffer.alloc(0));
  expect([preflight.status, preflight.headers["access-control-allow-origin"]]).toEqual([204, page]);
  expect(preflight.headers["access-control-allow-headers"]?.toString().toLowerCase()).toMatch(
    /x-grpc-web.*authorization/,
  );
  const connect = await ask(page, "POST", "application/json", json);
  expect([connect.status, connect.headers["access-control-allow-origin"]]).toEqual([200, page]);
  const web = await ask(
    page,
    "POST",
    "application/grpc-web+json",
    Buffer.concat([Buffer.from([0, 0, 0, 0, json.length]), json]),
  );
  expect([web.status, web.headers["access-control-allow-origin"]]).toEqual([200, page]);
  expect(web.headers["access-control-expose-headers"]?.toString().toLowerCase()).toContain("grpc-status");
  const foreign = await ask("https://evil.example", "POST", "application/json", json);
  expect(foreign.headers["access-control-allow-origin"]).toBeUndefined();
});

test("a stream whose Host and path form no URL is refused with 400, and nothing is written to the console", async () => {
  using written = vi.spyOn(console, "error");
  for (const host of ["localhost:99999", "[::1", "a b"]) {
    const answer = await exchange1(server.url1, {
      path: "/jackfield.v1.ToolExecutor/ExecuteTools",
      headers: { host, "content-type": "application/connect+json", authorization: "Bearer root" },
      body: Buffer.alloc(0),
    });
    expect([host, answer.status]).toEqual([host, 400]);
  }
  expect(written).not.toHaveBeenCalled();
});

test("a connection may have two health watches, another one is refused (hazard 37)", async () => {
  const open = async (session: http2.ClientHttp2Session) => {
    const stream = session.request({
      ":method": "POST",
      ":path": `/${Health.typeName}/Watch`,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.end(Buffer.alloc(5));
    return new Promise<string>((resolve) => {
      stream.on("trailers", (trailers) => resolve(String(trailers["grpc-status"])));
      stream.on("response", (headers) => {
        if (headers["grpc-status"] !== undefined) resolve(String(headers["grpc-status"]));
      });
      stream.on("data", () => resolve("open"));
    });
  };
  const one = http2.connect(server.url2);
  const other = http2.connect(server.url2);
  expect([await open(one), await open(one), await open(one)]).toEqual(["open", "open", "8"]);
  expect(await open(other)).toBe("open");
  one.destroy();
  other.destroy();
  const again = http2.connect(server.url2);
  expect([await open(again), await open(again)]).toEqual(["open", "open"]);
  again.destroy();
});
