import { once } from "node:events";
import * as http from "node:http";
import * as http2 from "node:http2";
import { describe, expect, test } from "vitest";
import { Code, ConnectError } from "@connectrpc/connect";
import { testRequirement } from "../support/test-requirement.ts";
import { usual, gateway, path, eventsOf } from "./start-genesys.ts";

const call = (id: string, name: string, input: unknown = "{}") => ({ id, function: { name, arguments: input } });

describe("the stream", () => {
  testRequirement("000.8", "has the headers, an event for each ended call, then one result and the end", async () => {
    await using app = await gateway();
    const response = await app.post(path, { tool_calls: [call("a", "echo"), call("b", "fail")] });
    expect(response.status).toBe(200);
    expect(
      Object.fromEntries(
        ["content-type", "cache-control", "connection", "x-accel-buffering"].map((name) => [
          name,
          response.headers.get(name),
        ]),
      ),
    ).toEqual({
      "content-type": "text/event-stream",
      "cache-control": "no-cache",
      connection: "keep-alive",
      "x-accel-buffering": "no",
    });
    const text = await response.text();
    expect(text).toMatch(/^event: tool_progress\ndata: \{"step":1,"total":2,"status":"completed"/);
    expect(text).toContain('\n\nevent: tool_progress\ndata: {"step":2,"total":2,"status":"completed"');
    expect(text.endsWith("\n\n")).toBe(true);
    expect(text.match(/event: tool_result\ndata: (.*)\n\n$/)?.[1]).toBe(
      '{"tool_results":[{"id":"a","function":{"name":"echo","output":"{}"}},' +
        '{"id":"b","function":{"name":"fail","output":"{\\"error\\":\\"External API returned 500: down\\"}"}}]}',
    );
  });

  testRequirement("000.8", "closes the connection afterwards if the client asked for it", async () => {
    await using app = await gateway();
    const request = http.request(`${app.url}${path}`, {
      method: "POST",
      agent: false,
      headers: { "content-type": "application/json", connection: "close" },
    });
    request.end(JSON.stringify({ tool_calls: [call("a", "echo")] }));
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    expect(response.headers.connection).toBe("close");
    const closed = once(response.socket, "close");
    response.resume();
    await closed;
  });

  testRequirement("000.8", "is the same over HTTP/2 without a connection header", async () => {
    await using app = await gateway();
    const session = http2.connect(app.url);
    const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/json" });
    stream.end(JSON.stringify({ tool_calls: [call("a", "echo")] }));
    const [headers] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
    let text = "";
    for await (const chunk of stream) text += String(chunk);
    session.close();
    expect(headers[":status"]).toBe(200);
    expect(headers["content-type"]).toBe("text/event-stream");
    expect(headers.connection).toBeUndefined();
    expect(text).toContain("event: tool_result\n");
  });

  testRequirement(
    ["000.8", "000.9"],
    "contains progress while others still run, and a tool's own reports",
    async () => {
      const release = Promise.withResolvers<void>();
      await using app = await gateway({
        tools: {
          ...usual,
          slow: async (_args, { report }) => {
            report("half way", 0.5);
            await release.promise;
            return { done: true };
          },
        },
      });
      const reader = eventsOf(await app.post(path, { tool_calls: [call("s", "slow"), call("f", "echo")] }));
      const early = [await reader.read(), await reader.read()].map(
        (next) => JSON.parse(next.value!.data) as Record<string, unknown>,
      );
      expect(early).toContainEqual(expect.objectContaining({ step: 1, total: 2, status: "completed", id: "f" }));
      expect(early).toContainEqual(
        expect.objectContaining({ total: 2, status: "running", message: "half way", fraction: 0.5 }),
      );
      release.resolve();
      const rest = [await reader.read(), await reader.read()];
      expect(rest.map((next) => next.value?.event)).toEqual(["tool_progress", "tool_result"]);
      expect((await reader.read()).done).toBe(true);
    },
  );

  testRequirement("000.9", "stays open with comment lines while idle", async () => {
    const release = Promise.withResolvers<void>();
    await using app = await gateway({
      times: { commentEveryMs: 5, openAfterMs: 1 },
      tools: { slow: () => release.promise.then(() => ({})) },
    });
    const response = await app.post(path, { tool_calls: [call("s", "slow")] });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    while (!text.includes(":\n\n:\n\n")) text += (await reader.read()).value ?? "";
    release.resolve();
    for (let next = await reader.read(); !next.done; next = await reader.read()) text += next.value;
    expect(text).toContain("event: tool_result");
  });

  testRequirement("000.10", "passes conversation and session to the call, and a batch has one trace id", async () => {
    await using app = await gateway();
    const body = {
      tool_calls: [call("a", "echo"), call("b", "echo")],
      conversation_id: "conv\r\n1",
      session_id: "sess",
    };
    await (await app.post(path, body)).text();
    const expected = { conversationId: "conv\r\n1", sessionId: "sess", source: "genesys" };
    expect(app.seen.map(({ context }) => context)).toMatchObject([expected, expected]);
    const [first, second] = app.seen;
    expect(first?.traceId).toMatch(/^[0-9a-f]{32}$/);
    expect(second?.traceId).toBe(first?.traceId);
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await (await app.post(path, body, { traceparent })).text();
    expect(app.seen.at(-1)?.traceId).toBe("0af7651916cd43dd8448eb211c80319c");
  });

  testRequirement("000.15", "answers an error before its start with a 500 that reveals nothing", async () => {
    await using app = await gateway({
      tools: {
        boom: () => {
          throw new Error("the password is hunter2");
        },
      },
    });
    const response = await app.post(path, { tool_calls: [call("a", "boom")] });
    expect([response.status, await response.text()]).toEqual([
      500,
      '{"error":"Internal server error during tool ingestion"}',
    ]);
  });

  test("answers 503 with Retry-After while the service shuts down", async () => {
    await using app = await gateway({
      tools: {
        down: () => {
          throw new ConnectError("the service is shutting down", Code.Unavailable);
        },
      },
    });
    const response = await app.post(path, { tool_calls: [call("a", "down")] });
    expect([response.status, response.headers.get("retry-after"), await response.text()]).toEqual([
      503,
      "1",
      '{"error":"the service is shutting down"}',
    ]);
  });
});
