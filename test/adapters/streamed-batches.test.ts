import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import type { StreamRoute } from "../../src/adapters/route.ts";
import { callContext, toolCall } from "../../src/adapters/tool-call.ts";
import { failure, mounted } from "./bare-adapter.ts";
import { until } from "./start-adapter.ts";
import { type SimulatedTool } from "./simulated-tools.ts";

describe("a batch that is streamed", () => {
  const stream: StreamRoute = {
    kind: "stream",
    method: "POST",
    path: "/stream",
    answerWithinMs: 5000,
    batch: () => ({
      calls: [toolCall("1", "work", {})],
      context: callContext({ conversationId: "conv", sessionId: "sess" }),
    }),
    progress: ({ ended, total }) => ({ event: "step", data: `${ended}/${total}` }),
    results: (_batch, results) => ({ event: "end", data: results.map(({ output }) => output).join() }),
    failure,
  };

  test("keeps the headers that were set before", async () => {
    await using app = await mounted({ ...stream, cors: { origins: ["https://a.example"], headers: [] } });
    const response = await app.post("/stream", {}, { origin: "https://a.example" });
    expect(response.headers.get("access-control-allow-origin")).toBe("https://a.example");
    expect(await response.text()).toBe("event: step\ndata: 1/1\n\nevent: end\ndata: {}\n\n");
  });

  test("sends progress again once a slow client has caught up", async () => {
    let message = "x".repeat(100_000);
    let reports = 0;
    const work: SimulatedTool = async (_args, { report, signal }) => {
      for (; !signal.aborted; reports += 1) {
        report(message, 0.5);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
      return {};
    };
    const progress: StreamRoute["progress"] = ({ event }) => ({
      event: "step",
      data: event.case === "progress" ? event.value.message : "",
    });
    await using app = await mounted({ ...stream, progress }, { tools: { work }, times: { openAfterMs: 1 } });
    const socket = connect({ port: app.port, host: "127.0.0.1" });
    socket.write(
      "POST /stream HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    );
    // More than all buffers in between can hold.
    await until(() => reports > 200);
    message = "caught up";
    let received = "";
    socket.on("data", (chunk: Buffer) => (received = (received + chunk.toString()).slice(-1000)));
    await until(() => received.includes("caught up"));
    socket.destroy();
  });

  test("logs an interruption with its conversation and session", async () => {
    const fail = Promise.withResolvers<never>();
    fail.promise.catch(() => undefined);
    await using app = await mounted(stream, { tools: { work: () => fail.promise }, times: { openAfterMs: 1 } });
    const response = await app.post("/stream", {});
    fail.reject(new Error("gone"));
    expect(await response.text()).toContain("event: end");
    const lines = app.log.filter((line) => line.includes("batch interrupted"));
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { conversation: "conv", session: "sess", msg: "batch interrupted while its results were streamed" },
    ]);
  });

  test("logs nothing if its client has disconnected", async () => {
    const cancelled = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const work: SimulatedTool = (_args, { signal }) =>
      new Promise((_, reject) =>
        signal.addEventListener("abort", () => {
          cancelled.resolve();
          reject(new Error("cancelled"));
        }),
      );
    const results: StreamRoute["results"] = () => {
      ended.resolve();
      return { event: "end", data: "" };
    };
    await using app = await mounted(
      { ...stream, results },
      { tools: { work }, times: { openAfterMs: 1, commentEveryMs: 600_000 } },
    );
    const client = new AbortController();
    // The stream opens although nothing has been written.
    const headers = { "content-type": "application/json" };
    await fetch(`${app.url}/stream`, { method: "POST", body: "{}", headers, signal: client.signal });
    client.abort();
    await cancelled.promise;
    // The first batch would have been looked up by the time that another one is answered.
    await Promise.race([ended.promise, app.post("/stream", "{")]);
    expect(app.log.join("")).not.toContain("batch interrupted");
  });
});
