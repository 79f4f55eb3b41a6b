import { SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { InMemorySpanExporter } from "@opentelemetry/sdk-trace";
import { Code, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { expect, test } from "vitest";
import { ToolExecutor } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { createInProcessTransport } from "../../src/rpc/in-process/transport.ts";
import { withTelemetry } from "../telemetry/with-telemetry.ts";
import { createListener, createOpenFront, createParts, createServices, limits, local, serve } from "./rpc-kit.ts";

test("an RPC from outside has one server span, with an error only if the server caused it; a call inside has none", async () => {
  const spanExporter = new InMemorySpanExporter();
  await using watched = await withTelemetry({ spanExporter });
  const { telemetry } = watched;
  const front = createOpenFront(telemetry);
  const services = createServices(createParts({ telemetry }));
  const messages = { readMaxBytes: limits.bodyBytes, maxItems: limits.callsPerRequest };
  await using server = await serve(await createListener({ services, front, telemetry, messages, corsOrigins: [] }));
  const connect = createClient(ToolExecutor, createConnectTransport({ baseUrl: server.url1, httpVersion: "1.1" }));
  const grpc = createClient(ToolExecutor, createGrpcTransport({ baseUrl: server.url2 }));
  const inside = createClient(ToolExecutor, createInProcessTransport(services, { caller: local, front }));
  const codeOf = (rpc: Promise<unknown>): Promise<unknown> =>
    rpc.then(
      () => undefined,
      ({ code }: { code: Code }) => code,
    );

  const expected = [
    ["echo", undefined, "ok", SpanStatusCode.UNSET],
    ["fail-5", Code.NotFound, "not_found", SpanStatusCode.UNSET],
    ["fail-14", Code.Unavailable, "unavailable", SpanStatusCode.ERROR],
  ] as const;
  for (const [name, code, word, status] of expected) {
    const call = { name };
    expect(await codeOf(inside.executeTool({ call }))).toBe(code);
    expect(await codeOf(Array.fromAsync(inside.executeTools({ calls: [call] })))).toBe(code);
    expect(spanExporter.getFinishedSpans()).toEqual([]);

    const ways = [
      { system: "connectrpc", method: "ExecuteTool", send: () => connect.executeTool({ call }) },
      { system: "grpc", method: "ExecuteTool", send: () => grpc.executeTool({ call }) },
      {
        system: "connectrpc",
        method: "ExecuteTools",
        send: () => Array.fromAsync(connect.executeTools({ calls: [call] })),
      },
    ];
    for (const { system, method, send } of ways) {
      expect(await codeOf(send())).toBe(code);
      await expect.poll(() => spanExporter.getFinishedSpans()).toHaveLength(1);
      expect(spanExporter.getFinishedSpans()[0]).toMatchObject({
        name: `jackfield.v1.ToolExecutor/${method}`,
        kind: SpanKind.SERVER,
        attributes: {
          "rpc.system.name": system,
          "rpc.method": `jackfield.v1.ToolExecutor/${method}`,
          "rpc.response.status_code": word,
        },
        status: { code: status },
      });
      spanExporter.reset();
    }
  }
});
