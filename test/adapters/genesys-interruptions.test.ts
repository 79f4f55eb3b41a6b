import * as net from "node:net";
import { describe, expect, test } from "vitest";
import { Code, ConnectError } from "@connectrpc/connect";
import { type SimulatedTool } from "./simulated-tools.ts";
import { usual, gateway, outputs, path } from "./start-genesys.ts";

const call = (id: string, name: string, input: unknown = "{}") => ({ id, function: { name, arguments: input } });

describe("the stream", () => {
  const notExecuted = '{"error":"Tool execution timed out or failed. Please retry."}';

  test("reports the known state of each call of an interrupted batch: a call that was not executed can be retried", async () => {
    const fail = Promise.withResolvers<never>();
    fail.promise.catch(() => {});
    const release = Promise.withResolvers<void>();
    const slow: SimulatedTool = () => release.promise.then(() => ({}));
    await using app = await gateway({ tools: { ...usual, slow, breaks: () => fail.promise } });
    const response = await app.post(path, {
      tool_calls: [call("a", "breaks"), call("b", "echo"), call("c", "slow")],
    });
    fail.reject(new Error("gone"));
    expect(await outputs(response)).toEqual([
      notExecuted,
      "{}",
      '{"error":"The request is still being processed. Do not repeat it."}',
    ]);
    release.resolve();
    expect(app.log.join("")).toContain("batch interrupted");
  });

  test("makes nothing uncertain when the store fails in the middle of a batch", async () => {
    const fail = Promise.withResolvers<never>();
    fail.promise.catch(() => {});
    await using app = await gateway({ times: { openAfterMs: 1 }, tools: { ...usual, down: () => fail.promise } });
    const response = await app.post(path, { tool_calls: [call("a", "down")] });
    app.failLookUps(new ConnectError("the store cannot be reached", Code.Unavailable));
    fail.reject(new ConnectError("the store cannot be reached; nothing has been executed", Code.Unavailable));
    expect(await outputs(response)).toEqual([notExecuted]);
  });

  test("reports a call as uncertain if its state cannot be determined", async () => {
    const fail = Promise.withResolvers<never>();
    fail.promise.catch(() => {});
    await using app = await gateway({ times: { openAfterMs: 1 }, tools: { ...usual, breaks: () => fail.promise } });
    const response = await app.post(path, { tool_calls: [call("a", "breaks")] });
    app.failLookUps(new Error("gone too"));
    fail.reject(new Error("gone"));
    expect(await outputs(response)).toEqual([
      '{"error":"It is not known whether this request took effect. Do not repeat it; check first."}',
    ]);
  });

  test("cancels the batch of a client that disconnects", async () => {
    const cancelled = Promise.withResolvers<void>();
    await using app = await gateway({
      times: { openAfterMs: 1 },
      tools: {
        hang: (_args, { signal }) => new Promise(() => signal.addEventListener("abort", () => cancelled.resolve())),
      },
    });
    const client = new AbortController();
    await fetch(app.url + path, {
      method: "POST",
      body: JSON.stringify({ tool_calls: [call("a", "hang")] }),
      headers: { "content-type": "application/json" },
      signal: client.signal,
    });
    client.abort();
    await cancelled.promise;
  });

  test("closes the stream of a client that never reads at the deadline, and drops its progress until then", async () => {
    const report = "x".repeat(200_000);
    const cut = Promise.withResolvers<void>();
    let reports = 0;
    await using app = await gateway({
      answerWithinMs: 60_000,
      times: { openAfterMs: 1, lingerMs: -59_500 },
      tools: {
        chatty: async (_args, about) => {
          about.signal.addEventListener("abort", () => cut.resolve());
          while (!about.signal.aborted) {
            for (let n = 0; n < 5; n += 1) about.report(report, 0.5);
            reports += 5;
            await new Promise((resolve) => setTimeout(resolve, 1));
          }
          return {};
        },
      },
    });
    const socket = net.connect({ port: app.port, host: "127.0.0.1" });
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => {});
    let received = 0;
    const body = JSON.stringify({ tool_calls: [call("a", "chatty")] });
    socket.write(
      `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    socket.pause();
    await cut.promise;
    socket.on("data", (chunk: Buffer) => (received += chunk.length));
    socket.resume();
    await closed;
    expect(reports).toBeGreaterThan(100);
    expect(received).toBeLessThan((reports * report.length) / 2);
  });
});
