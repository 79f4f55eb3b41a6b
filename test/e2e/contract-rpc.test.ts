import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Jobs } from "../../gen/jackfield/v1/jobs_pb.ts";
import { CallState, ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { Outcome } from "../../gen/jackfield/v1/tool_pb.ts";
import { rpc } from "../support/http-client.ts";
import type { Receiver } from "../support/receiver.ts";
import type { ServiceUnderTest } from "../support/service.ts";
import { type ContractServices, startContractServices } from "./support/contract-services.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
let open: ServiceUnderTest;
let closed: ServiceUnderTest;
let seats: Receiver;

let services: ContractServices;
beforeAll(async () => {
  services = await startContractServices();
  ({ open, closed, seats } = services);
}, 60_000);
afterAll(() => services[Symbol.asyncDispose]());

const weather = {
  callId: "w1",
  name: "get_weather",
  outcome: "OUTCOME_OK",
  output: '{"location":"London","temperature":22,"unit":"celsius","condition":"clear"}',
  value: { location: "London", temperature: 22, unit: "celsius", condition: "clear" },
  attempts: 1,
};

const python = "/usr/bin/python3";
const hasPython =
  existsSync(python) &&
  (await run(python, ["-c", "import grpc"]).then(
    () => true,
    () => false,
  ));

test("ExecuteTool returns the complete result, for text and object", async () => {
  for (const input of [{ arguments: { location: "London" } }, { argumentsJson: '{"location":"London"}' }]) {
    const { status, body } = await rpc(open.url, "ToolExecutor/ExecuteTool", {
      call: { id: "w1", name: "get_weather", ...input },
    });
    expect(status).toBe(200);
    const { duration, ...rest } = (body["result"] ?? {}) as unknown as Record<string, unknown>;
    expect(rest).toEqual(weather);
    expect(duration).toMatch(/^\d+(\.\d+)?s$/);
  }
  const bad = await rpc(open.url, "ToolExecutor/ExecuteTool", {
    call: { id: "w2", name: "get_weather", arguments: { location: 1, x: 2 } },
  });
  expect(bad.body["result"]).toMatchObject({
    outcome: "OUTCOME_INVALID_ARGUMENTS",
    error: {
      violations: [
        { message: "must NOT have additional properties: x" },
        { path: "/location", message: "must be string" },
      ],
    },
  });
  const { output, error } = bad.body["result"] as unknown as { output: string; error: { message: string } };
  expect(output).toBe(error.message);
});

for (const [name, transport] of [
  ["Connect", () => createConnectTransport({ baseUrl: open.url, httpVersion: "1.1" })],
  ["Connect over HTTP/2", () => createConnectTransport({ baseUrl: open.url, httpVersion: "2", useBinaryFormat: true })],
  ["gRPC", () => createGrpcTransport({ baseUrl: open.url })],
  ["gRPC-Web", () => createGrpcWebTransport({ baseUrl: open.url, httpVersion: "1.1" })],
  ["gRPC in JSON", () => createGrpcTransport({ baseUrl: open.url, useBinaryFormat: false })],
] as const) {
  test(`${name}: streams, PENDING and its end, deadlines, errors`, async () => {
    const executor = createClient(ToolExecutor, transport());
    const jobs = createClient(Jobs, transport());
    const kinds: string[] = [];
    let results: string[] = [];
    const calls = [
      { id: "slow", name: "nap", input: { case: "arguments", value: { ms: 300, report: true } } },
      { id: "fast", name: "nap", input: { case: "arguments", value: { ms: 0 } } },
      { id: "none", name: "nothing" },
    ] as const;
    for await (const { event } of executor.executeTools({ calls: [...calls], context: { runId: name } })) {
      kinds.push(event.case === "result" ? `result ${event.value.callId}` : (event.case ?? ""));
      if (event.case === "done") results = event.value.results.map(({ callId }) => callId);
    }
    expect(results).toEqual(["slow", "fast", "none"]);
    expect(kinds.at(-1)).toBe("done");
    expect(kinds.at(-2)).toBe("result slow");
    expect(kinds).toContain("progress");

    const context = { conversationId: `late ${name}` };
    const late = { id: "late", name: "nap", input: { case: "arguments", value: { ms: 1200 } } } as const;
    const { result } = await executor.executeTool({
      call: late,
      context,
      answerWithin: { seconds: 0n, nanos: 100_000_000 },
    });
    expect([result?.outcome, result?.output, result?.callId]).toEqual([
      Outcome.PENDING,
      "Tool execution timed out or failed. Please retry.",
      "late",
    ]);
    expect((await executor.getCall({ callId: "late", context })).state).toBe(CallState.RUNNING);
    const asItIs = await executor.waitCall({ callId: "late", context }, { timeoutMs: 500 });
    expect([asItIs.state, asItIs.result]).toEqual([CallState.RUNNING, undefined]);
    const ended = await executor.waitCall({ callId: "late", context });
    expect([ended.state, ended.result?.output]).toEqual([CallState.DONE, '{"slept":1200}']);
    expect((await executor.getCall({ callId: "late", context })).result?.outcome).toBe(Outcome.OK);
    const again = await executor.executeTool({ call: late, context });
    expect([again.result?.replayed, again.result?.output]).toEqual([true, '{"slept":1200}']);
    const write = await executor.executeTool({
      call: { id: "w", name: "book", input: { case: "arguments", value: { seat: name, ms: 400 } } },
      context,
      answerWithin: { seconds: 0n, nanos: 50_000_000 },
    });
    expect([write.result?.outcome, write.result?.output]).toEqual([
      Outcome.PENDING,
      "The request is still being processed. Do not repeat it.",
    ]);
    expect((await executor.waitCall({ callId: "w", context })).result?.output).toBe(JSON.stringify({ booked: name }));
    const conflict = await executor.executeTool({
      call: { id: "w", name: "book", input: { case: "arguments", value: { seat: "other" } } },
      context,
    });
    expect([conflict.result?.outcome, conflict.result?.output]).toEqual([
      Outcome.CONFLICT,
      "This call id was already used with other arguments.",
    ]);

    const codeOf = async (answer: Promise<unknown>) =>
      Code[(await answer.then(() => undefined, ConnectError.from))?.code ?? 0];
    expect(await codeOf(executor.getCall({ callId: "late", context: { conversationId: "another" } }))).toBe("NotFound");
    expect(await codeOf(executor.getCall({ callId: "x".repeat(257) }))).toBe("InvalidArgument");
    expect(await codeOf(executor.executeTool({ call: { id: "x".repeat(257), name: "echo" } }))).toBe("InvalidArgument");
    expect(
      await codeOf(executor.executeTool({ call: { name: "echo" }, context: { sessionId: "x".repeat(257) } })),
    ).toBe("InvalidArgument");
    expect(await codeOf(executor.executeTool({}))).toBe("InvalidArgument");
    expect(await codeOf(executor.listTools({ pageSize: -1 }))).toBe("InvalidArgument");
    expect(await codeOf(jobs.getJob({ id: "nobody" }))).toBe("NotFound");
    expect(await codeOf(jobs.submitJob({}))).toBe("InvalidArgument");
    expect(
      await codeOf(
        executor.executeTool(
          { call: { name: "nap", input: { case: "arguments", value: { ms: 5000 } } } },
          { timeoutMs: 150 },
        ),
      ),
    ).toBe("DeadlineExceeded");
    const { tools, nextPageToken } = await executor.listTools({ pageSize: 2 });
    expect([tools.map((tool) => tool.name), nextPageToken === ""]).toEqual([["book", "echo"], false]);
    const rest = await executor.listTools({ pageSize: 2, pageToken: nextPageToken });
    expect([rest.tools.map((tool) => tool.name), rest.nextPageToken]).toEqual([["get_weather", "nap"], ""]);
  });
}

test("jobs are paged, and a bundled name cannot be registered", async () => {
  for (const id of ["p1", "p2", "p3"])
    await rpc(open.url, "Jobs/SubmitJob", { job: { id, calls: [{ id: "x", name: "echo" }] } });
  const seen: string[] = [];
  let token = "";
  do {
    const { body } = await rpc(open.url, "Jobs/ListJobs", { pageSize: 1, pageToken: token });
    seen.push(...((body["jobs"] ?? []) as unknown as { id: string }[]).map(({ id }) => id));
    token = (body["nextPageToken"] as unknown as string | undefined) ?? "";
  } while (token !== "" && seen.length < 50);
  expect(seen.toSorted()).toEqual(["p1", "p2", "p3"]);
  const taken = await rpc(open.url, "ToolRegistry/RegisterTool", {
    tool: { name: "get_weather", inputSchema: { type: "object" } },
    target: { http: { url: seats.url } },
  });
  expect([taken.status, taken.body["code"]]).toEqual([409, "already_exists"]);
  const absent = await rpc(open.url, "ToolRegistry/UnregisterTool", { name: "nobody" });
  expect([absent.status, absent.body["code"]]).toEqual([404, "not_found"]);
});

test("unknown methods are unimplemented in each protocol", async () => {
  const connect = await rpc(open.url, "ToolExecutor/Nothing", {});
  expect([connect.status, connect.body["code"]]).toEqual([404, "unimplemented"]);
  const other = await fetch(`${open.url}/some.other.v1.Service/Method`, {
    method: "POST",
    headers: { "content-type": "application/grpc-web+proto" },
    body: new Uint8Array(5),
  });
  expect(other.headers.get("grpc-status")).toBe("12");
  const definition = loadSync("jackfield/v1/tool_executor.proto", { includeDirs: [join(root, "proto")] });
  const client = new grpc.Client(new URL(open.url).host, grpc.credentials.createInsecure());
  expect(Object.keys(definition)).toContain("jackfield.v1.ToolExecutor");
  for (const path of ["/jackfield.v1.ToolExecutor/Nothing", "/some.other.v1.Service/Method"]) {
    const error = await new Promise<grpc.ServiceError | null>((resolve) => {
      client.makeUnaryRequest(
        path,
        (value: Buffer) => value,
        (value: Buffer) => value,
        Buffer.alloc(0),
        (fault) => resolve(fault),
      );
    });
    expect([path, error?.code]).toEqual([path, grpc.status.UNIMPLEMENTED]);
  }
  client.close();
});

test("buf curl lists and calls by reflection, with a key if keys are configured", async () => {
  const buf = join(root, "node_modules/.bin/buf");
  const base = ["curl", "--protocol", "grpc", "--http2-prior-knowledge"];
  const { stdout: services } = await run(buf, [...base, "--list-services", open.url]);
  for (const name of ["ToolExecutor", "ToolRegistry", "Jobs", "Conversations"])
    expect(services).toContain(`jackfield.v1.${name}`);
  const { stdout: methods } = await run(buf, [...base, "--list-methods", open.url]);
  expect(methods).toContain("jackfield.v1.ToolExecutor/WaitCall");
  const say = ["-d", '{"call":{"name":"get_weather","arguments":{"location":"London"}}}'];
  const target = (url: string) => `${url}/jackfield.v1.ToolExecutor/ExecuteTool`;
  for (const protocol of ["grpc", "grpcweb", "connect"]) {
    const { stdout } = await run(buf, [
      "curl",
      "--protocol",
      protocol,
      "--http2-prior-knowledge",
      ...say,
      target(open.url),
    ]);
    expect(JSON.parse(stdout)).toMatchObject({ result: { outcome: "OUTCOME_OK", output: weather.output } });
  }
  await expect(run(buf, [...base, ...say, target(closed.url)])).rejects.toThrow(/Failure/);
  const key = ["--header", "Authorization: Bearer plain-key", "--reflect-header", "Authorization: Bearer plain-key"];
  const { stdout } = await run(buf, [...base, ...key, ...say, target(closed.url)]);
  expect(JSON.parse(stdout)).toMatchObject({ result: { outcome: "OUTCOME_OK" } });
}, 90_000);

test.skipIf(!hasPython && process.env["JACKFIELD_TEST_ALL"] !== "1")(
  "Python's grpcio calls a tool (python3-grpcio is needed)",
  async () => {
    const script = `
import grpc, sys
channel = grpc.insecure_channel(sys.argv[1])
call = channel.unary_unary("/jackfield.v1.ToolExecutor/ExecuteTool")
name, args = b"get_weather", b'{"location":"London"}'
body = b"\\x12" + bytes([len(name)]) + name + b"\\x22" + bytes([len(args)]) + args
print(call(b"\\x0a" + bytes([len(body)]) + body, timeout=10).decode("utf-8", "replace"))
try:
    call(b"\\xff\\xff", timeout=10)
except grpc.RpcError as e:
    print(e.code().name)
`;
    const { stdout } = await run(python, ["-c", script, new URL(open.url).host], {
      env: { ...process.env, PYTHONIOENCODING: "utf-8" },
    });
    expect(stdout).toContain('"temperature":22');
    expect(stdout).toContain("INVALID_ARGUMENT");
  },
  60_000,
);
