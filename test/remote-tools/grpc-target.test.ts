import { constants } from "node:http2";
import type { Http2ServerResponse } from "node:http2";
import type { AddressInfo } from "node:net";
import { createServer as createListener } from "node:net";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { Effect } from "../../gen/jackfield/v1/tool_pb.ts";
import { ToolPlugin } from "../../gen/jackfield/v1/tool_plugin_pb.ts";
import { SentRequests } from "../../src/outbound/sent-requests.ts";
import { fencedManager } from "../../src/remote-tools/grpc-sessions.ts";
import { deadPort } from "../outbound/downstream.ts";
import { gate } from "../support/executor.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { frameOf, grpcTo, startPlugin, startServer } from "./grpc-server.ts";
import { embedded, refusal, startReplica, tool } from "./replica.ts";

describe("a gRPC target", () => {
  testRequirement("002.1", "receives the arguments, reports progress and answers", async () => {
    const address = await startPlugin({
      async *execute({ name, arguments: args, callId, idempotencyKey, conversationId }) {
        yield { event: { case: "progress", value: { message: "half", fraction: 0.5 } } };
        const value = { name, args: args ?? null, callId, conversationId, keyed: idempotencyKey.length > 16 };
        yield { event: { case: "output", value: { kind: { case: "stringValue", value: JSON.stringify(value) } } } };
      },
    });
    const app = await startReplica(await embedded());
    await app.register(tool, grpcTo(address));
    const { outcome, output, progress } = await app.call({ a: [1, "x"] });
    expect(outcome).toBe("OK");
    expect(JSON.parse(output)).toEqual({
      name: "work",
      args: { a: [1, "x"] },
      callId: "call-1",
      conversationId: "conversation-1",
      keyed: true,
    });
    expect(progress).toEqual([{ message: "half", fraction: 0.5 }]);
  });

  test("describes its tool itself, if the caller gives only the name", async () => {
    const inputSchema = { type: "object", properties: { a: { type: "integer" } }, required: ["a"] };
    const address = await startPlugin({
      describe: () => ({
        tool: { name: "work", description: "Works in Python.", inputSchema, effect: Effect.IDEMPOTENT, version: "3" },
      }),
    });
    const app = await startReplica(await embedded());
    const offered = await app.register({ name: "work" }, grpcTo(address));
    expect(offered).toMatchObject({
      description: "Works in Python.",
      inputSchema,
      effect: Effect.IDEMPOTENT,
      version: "3",
    });
    expect(await app.call({ a: "x" })).toMatchObject({ outcome: "INVALID_ARGUMENTS" });
  });

  test("is refused if it describes an argument that plain HTTP reads from a header", async () => {
    const inputSchema = { type: "object", properties: { jackfieldCallId: { type: "string" } } };
    const address = await startPlugin({
      describe: () => ({ tool: { name: "work", description: "Works.", inputSchema } }),
    });
    const app = await startReplica(await embedded());
    expect(await refusal(app.register({ name: "work" }, grpcTo(address)))).toMatchObject({
      code: Code.InvalidArgument,
      message: expect.stringContaining("must not have an argument jackfieldCallId"),
    });
  });

  test("is refused with the reason if it cannot describe its tool", async () => {
    const app = await startReplica(await embedded());
    const silent = await startPlugin({});
    for (const address of [silent, "127.0.0.1:1"]) {
      const { code, message } = await refusal(app.register({ name: "work" }, grpcTo(address)));
      expect(code).toBe(Code.InvalidArgument);
      expect(message).toContain("Describe");
    }
  });

  test("fails with its own message if it answers with an error, and with the downstream's for any other failure", async () => {
    const address = await startPlugin({
      async *execute({ arguments: args }) {
        if (args?.["how"] === "error") yield { event: { case: "error", value: "There is no such order." } };
        if (args?.["how"] === "throw") throw new ConnectError("broken at /srv", Code.Internal);
      },
    });
    const app = await startReplica(await embedded());
    await app.register(tool, grpcTo(address));
    expect(await app.call({ how: "error" })).toMatchObject({ outcome: "FAILED", output: "There is no such order." });
    expect(await app.call({ how: "throw" })).toMatchObject({
      outcome: "FAILED",
      output: "External API returned Internal: broken at /srv",
    });
    expect(await app.call()).toMatchObject({
      outcome: "FAILED",
      output: "External API ended the call without an answer.",
    });
  });

  test.each([
    ["without a text", " \u200b", "External API returned an error without a text."],
    ["that is too long", `${"a".repeat(1999)}😀`, "a".repeat(1999)],
  ])("passes on an error %s as one that the model can read", async (_, value, output) => {
    const address = await startPlugin({
      async *execute() {
        yield { event: { case: "error", value } };
      },
    });
    const app = await startReplica(await embedded());
    await app.register(tool, grpcTo(address));
    expect(await app.call()).toMatchObject({ outcome: "FAILED", output });
  });

  const uncertain = "It is not known whether this request took effect. Do not repeat it; check first.";

  test.each<[string, string, string]>([
    ["error", "FAILED", "There is no such order."],
    ["NotFound", "FAILED", "External API returned NotFound: why"],
    ["AlreadyExists", "FAILED", "External API returned AlreadyExists: why"],
    ["FailedPrecondition", "FAILED", "External API returned FailedPrecondition: why"],
    ["Internal", "UNCERTAIN", uncertain],
    ["Unavailable", "UNCERTAIN", uncertain],
    ["Aborted", "UNCERTAIN", uncertain],
    ["nothing", "UNCERTAIN", uncertain],
    ["silence", "UNCERTAIN", uncertain],
  ])("of a write that ends with %s is %s", async (how, outcome, output) => {
    let runs = 0;
    const address = await startPlugin({
      async *execute() {
        runs++;
        if (how === "error") yield { event: { case: "error", value: "There is no such order." } };
        if (how === "silence") await new Promise(() => {});
        if (how in Code) throw new ConnectError("why", Code[how as keyof typeof Code]);
      },
    });
    const app = await startReplica(await embedded());
    const timeout = { seconds: 0n, nanos: 500e6 };
    await app.register({ ...tool, effect: Effect.WRITE, timeout }, grpcTo(address));
    expect(await app.call()).toMatchObject({ outcome, output });
    expect(runs).toBe(1);
  });

  const grpcHeaders = { "content-type": "application/grpc+proto" };

  test.each<[string, (response: Http2ServerResponse) => void]>([
    ["is larger than the limit", (response) => response.writeHead(200, grpcHeaders).write(frameOf(2_097_153))],
    ["is cut off", (response) => response.writeHead(200, grpcHeaders).end(frameOf(10).subarray(0, 8))],
    ["is no gRPC", (response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>")],
    ["is reset as too much", ({ stream }) => stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)],
    ["is reset as forbidden", ({ stream }) => stream.close(constants.NGHTTP2_INADEQUATE_SECURITY)],
  ])("runs once, and a write is uncertain, if its answer %s", async (_, answer) => {
    let runs = 0;
    const address = await startServer((request, response) => {
      runs++;
      request.resume().on("end", () => answer(response));
    });
    const app = await startReplica(await embedded());
    await app.register({ ...tool, effect: Effect.WRITE }, grpcTo(address));
    expect(await app.call()).toMatchObject({ outcome: "UNCERTAIN", output: uncertain });
    expect(runs).toBe(1);
    await app.register(tool, grpcTo(address));
    expect(await app.call()).toMatchObject({
      outcome: "FAILED",
      output: expect.stringMatching(/^External API gave no usable answer: ./),
    });
    expect(runs).toBe(2);
  });

  test("of a write has failed if a proxy refuses the call", async () => {
    const address = await startServer((_, response) => response.writeHead(403).end());
    const app = await startReplica(await embedded());
    await app.register({ ...tool, effect: Effect.WRITE }, grpcTo(address));
    expect(await app.call()).toMatchObject({
      outcome: "FAILED",
      output: "External API returned PermissionDenied: HTTP 403",
    });
  });

  test("of a write has failed if nothing listens", async () => {
    const app = await startReplica(await embedded());
    await app.register({ ...tool, effect: Effect.WRITE }, grpcTo(`127.0.0.1:${await deadPort()}`));
    expect(await app.call()).toMatchObject({ outcome: "FAILED", output: "External API could not be reached." });
  });

  test("gets no call whose time is over", async () => {
    let runs = 0;
    const address = await startPlugin({
      async *execute() {
        runs++;
        yield { event: { case: "output", value: { kind: { case: "stringValue", value: "done" } } } };
      },
    });
    const manager = new Http2SessionManager(`http://${address}`);
    onTestFinished(() => manager.abort());
    const sent = new SentRequests();
    const call = async (until: number): Promise<unknown[]> => {
      const sessionManager = fencedManager(manager, until, sent);
      const transport = createGrpcTransport({ baseUrl: `http://${address}`, sessionManager });
      return Array.fromAsync(createClient(ToolPlugin, transport).execute({ name: "work" }));
    };
    const reason = ConnectError.from(await call(0).catch((cause: unknown) => cause));
    expect(reason.rawMessage).toBe("The request was not sent: its time is over.");
    expect([runs, sent.mayHaveChanged]).toEqual([0, false]);
    await call(Infinity);
    expect([runs, sent.mayHaveChanged]).toEqual([1, true]);
  });

  test("receives the deadline, and is cancelled when it passes", async () => {
    const ended = gate();
    let left: number | undefined;
    const address = await startPlugin({
      async *execute(_, { signal, timeoutMs }) {
        left = timeoutMs();
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
        ended.open();
        yield { event: { case: "error", value: "late" } };
      },
    });
    const app = await startReplica(await embedded());
    await app.register({ ...tool, timeout: { seconds: 0n, nanos: 300e6 } }, grpcTo(address));
    expect(await app.call()).toMatchObject({ outcome: "TIMED_OUT" });
    await ended.opened;
    expect(left).toBeLessThanOrEqual(300);
  });

  test("may be replaced and withdrawn while it runs: the call ends as it began", async () => {
    const held = gate();
    const started = gate();
    const address = await startPlugin({
      async *execute() {
        started.open();
        await held.opened;
        yield { event: { case: "output", value: { kind: { case: "stringValue", value: "done" } } } };
      },
    });
    const app = await startReplica(await embedded());
    await app.register(tool, grpcTo(address));
    const running = app.call();
    await started.opened;
    await app.register({ ...tool, description: "Again." }, grpcTo(address));
    await app.unregister("work");
    held.open();
    expect(await running).toMatchObject({ outcome: "OK", output: "done" });
  });

  testRequirement(
    "002.1",
    "at a private address is refused at registration; a name that leads to one, at connect",
    async () => {
      const listener = createListener();
      let connections = 0;
      listener.on("connection", () => void connections++);
      await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
      onTestFinished(() => void listener.close());
      const { port } = listener.address() as AddressInfo;
      const app = await startReplica(await embedded(), {
        privateAddresses: [],
        names: { "tools.example": "127.0.0.1" },
      });
      for (const host of ["127.0.0.1", "localhost", "[::1]", "0x7f.1"]) {
        const { code, message } = await refusal(app.register(tool, grpcTo(`${host}:${port}`)));
        expect({ host, code }).toEqual({ host, code: Code.InvalidArgument });
        expect(message).toContain("JACKFIELD_PRIVATE_ADDRESSES");
      }
      for (const address of ["", "example.com", "http://example.com:1", "example.com:1/x", "a@example.com:1"]) {
        expect(await refusal(app.register(tool, grpcTo(address)))).toMatchObject({ code: Code.InvalidArgument });
      }
      await app.register(tool, grpcTo(`tools.example:${port}`));
      const answer = await app.call();
      expect(answer).toMatchObject({ outcome: "FAILED" });
      expect(answer.output).toContain("JACKFIELD_PRIVATE_ADDRESSES");
      await vi.waitFor(() => expect(connections).toBe(0));
    },
  );
});
