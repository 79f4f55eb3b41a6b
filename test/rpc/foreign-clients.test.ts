import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createParts, createServices, limits, openListener, serve } from "./rpc-kit.ts";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../../", import.meta.url));
const parts = createParts();
let server: Awaited<ReturnType<typeof serve>>;

beforeAll(async () => {
  server = await serve(await openListener(createServices(parts), parts.telemetry, limits.bodyBytes));
});

afterAll(() => server[Symbol.asyncDispose]());

interface Executor extends grpc.Client {
  ExecuteTool(
    request: unknown,
    options: grpc.CallOptions,
    done: (error: grpc.ServiceError | null, answer?: { result: { name: string; output: string } }) => void,
  ): grpc.ClientUnaryCall;
  ExecuteTools(request: unknown): grpc.ClientReadableStream<{ event: string }>;
}

function client(): Executor {
  const definition = loadSync("jackfield/v1/tool_executor.proto", { includeDirs: [`${root}proto`], oneofs: true });
  const loaded = grpc.loadPackageDefinition(definition) as unknown as {
    jackfield: { v1: { ToolExecutor: new (address: string, credentials: grpc.ChannelCredentials) => Executor } };
  };
  return new loaded.jackfield.v1.ToolExecutor(`127.0.0.1:${server.port2}`, grpc.credentials.createInsecure());
}

test("grpc-js calls a tool, gets errors by code, deadlines and streams", async () => {
  const executor = client();
  const ask = (name: string, options: grpc.CallOptions = {}) =>
    new Promise<string>((resolve) => {
      executor.ExecuteTool({ call: { name, argumentsJson: "x".repeat(5000) } }, options, (error, answer) =>
        resolve(
          error === null ? `${answer?.result.name} ${answer?.result.output.length}` : `${error.code} ${error.details}`,
        ),
      );
    });
  expect(await ask("echo")).toBe("echo 5000");
  // grpc-js decodes grpc-message with decodeURI, which does not decode the escapes of reserved characters.
  expect(await ask("fail-5")).toBe("5 fails%3A é ☎ %");
  expect(await ask("throw")).toBe("13 internal error");
  expect(await ask("slow", { deadline: Date.now() + 100 })).toMatch(/^4 /);
  const events: string[] = [];
  for await (const event of executor.ExecuteTools({ calls: [{ name: "echo", id: "1" }] }) as AsyncIterable<{
    event: string;
  }>)
    events.push(event.event);
  expect(events).toEqual(["result", "done"]);
  executor.close();
});

test("buf curl finds the methods by reflection and calls one", async () => {
  const buf = `${root}node_modules/.bin/buf`;
  for (const protocol of ["grpc", "grpcweb", "connect"]) {
    const args = [
      "curl",
      "--protocol",
      protocol,
      "--http2-prior-knowledge",
      "-d",
      '{"call":{"name":"echo","arguments":{"a":1}}}',
      `${server.url2}/jackfield.v1.ToolExecutor/ExecuteTool`,
    ];
    const { stdout } = await run(buf, args);
    expect(JSON.parse(stdout)).toMatchObject({ result: { name: "echo", value: { a: 1 } } });
  }
  const { stdout } = await run(buf, [
    "curl",
    "--http2-prior-knowledge",
    "--protocol",
    "grpc",
    "--list-services",
    server.url2,
  ]);
  expect(stdout).toContain("jackfield.v1.ToolExecutor");
  expect(stdout).toContain("grpc.health.v1.Health");
}, 60_000);

const python = "/usr/bin/python3";
const hasPython =
  existsSync(python) &&
  (await run(python, ["-c", "import grpc"]).then(
    () => true,
    () => false,
  ));
const needed = process.env["JACKFIELD_TEST_ALL"] === "1";

// Skipped if python3-grpcio is not installed, unless JACKFIELD_TEST_ALL=1 is set.
test.skipIf(!hasPython && !needed)(
  "Python's gRPC calls a tool, and reads the status of an error",
  async () => {
    const script = `
import grpc, sys
channel = grpc.insecure_channel(sys.argv[1])
call = channel.unary_unary("/jackfield.v1.ToolExecutor/ExecuteTool")
def ask(name):
    call_bytes = b"\\x12" + bytes([len(name)]) + name
    try:
        return call(b"\\x0a" + bytes([len(call_bytes)]) + call_bytes, timeout=10)
    except grpc.RpcError as e:
        return e.code().name.encode() + b" " + e.details().encode("utf-8")
print(ask(b"echo"))
print(ask(b"fail-5").decode("utf-8"))
check = channel.unary_unary("/grpc.health.v1.Health/Check")
print(check(b"", timeout=10))
`;
    const { stdout } = await run(python, ["-c", script, `127.0.0.1:${server.port2}`], {
      env: { ...process.env, PYTHONIOENCODING: "utf-8" },
    });
    const [echo, fault, health] = stdout.split("\n");
    expect(echo).toContain("echo");
    expect(fault).toBe("NOT_FOUND fails: é ☎ %");
    expect(health).toBe(String.raw`b'\x08\x01'`);
  },
  60_000,
);
