import * as http2 from "node:http2";
import { once } from "node:events";
import * as net from "node:net";
import { InMemorySpanExporter } from "@opentelemetry/sdk-trace";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createCognigyAdapter } from "../../src/adapters/cognigy/index.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { until } from "./start-adapter.ts";
import { type SimulatedTool } from "./simulated-tools.ts";
import { usual, cognigy, path } from "./start-cognigy.ts";

const refusal = '{"error":"Invalid or missing X-Cognigy-AI-API-Key header. Scope llm:tools:execute required."}';

const callback = (name: string, args?: unknown, id = "call-1") => ({ tool_call_id: id, name, arguments: args });

async function answerOf(response: Response): Promise<[number, string]> {
  return [response.status, await response.text()];
}

describe("the callback", () => {
  testRequirement(["003.1", "003.3"], "answers exactly the id and a text, with 200 for failures too", async () => {
    await using app = await cognigy();
    const cases: [unknown, string][] = [
      [callback("echo", { x: "ü" }), '{"x":"ü"}'],
      [callback("echo", '{"x":1}'), '{"x":1}'],
      [callback("echo"), "{}"],
      [callback("echo", null), "{}"],
      [callback("text", {}), "plain text"],
      [callback("fail", {}), "Tool execution failed or timed out."],
      [callback("nope", {}), "Unknown tool: nope"],
      [callback("echo", "{not json"), "Invalid JSON in arguments for echo"],
      [
        callback("picky", {}),
        "Invalid arguments: Schema validation failed: /a: must be string; : must have required property 'b'",
      ],
      [callback("echo", []), "Invalid arguments: Schema validation failed: : must be object"],
      [callback("echo", 5), "Invalid arguments: Schema validation failed: : must be object"],
    ];
    for (const [body, output] of cases) {
      const response = await app.post(path, body);
      expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
      expect(await answerOf(response)).toEqual([200, `{"tool_call_id":"call-1","output":${JSON.stringify(output)}}`]);
    }
  });

  testRequirement(
    "003.3",
    "refuses a body that is not an object, or has no tool_call_id or name, with 400",
    async () => {
      await using app = await cognigy();
      const bad = [
        null,
        [],
        "x",
        1,
        {},
        { name: "echo" },
        { tool_call_id: "a" },
        callback("echo", {}, ""),
        callback(""),
      ];
      const odd = [
        { tool_call_id: 7, name: "echo" },
        { tool_call_id: "a", name: 7 },
        callback("echo", {}, "x".repeat(257)),
      ];
      for (const body of [...bad, ...odd]) {
        const response = await app.post(path, body);
        expect(response.status).toBe(400);
        expect(Object.keys((await response.json()) as object)).toEqual(["error"]);
      }
      expect(await answerOf(await app.post(path, "{"))).toEqual([
        400,
        '{"error":"The request body is not valid JSON"}',
      ]);
      expect(app.seen).toEqual([]);
    },
  );

  test("returns any id and any text unchanged", async () => {
    await using app = await cognigy();
    const ids = fc.string({ unit: "binary", minLength: 1, maxLength: 100 });
    await fc.assert(
      fc.asyncProperty(ids, fc.string({ unit: "binary" }), async (id, text) => {
        const response = await app.post(path, callback("echo", { text }, id));
        const answer = (await response.json()) as { tool_call_id: string; output: string };
        expect(answer.tool_call_id).toBe(id);
        expect(JSON.parse(answer.output)).toEqual({ text });
      }),
      { numRuns: 50 },
    );
  });

  testRequirement(
    "003.2",
    "refuses a wrong key before the body is read, and a key's name determines the source of its calls",
    async () => {
      await using app = await cognigy({
        keys: [
          { name: "blue", key: "kb" },
          { name: "green", key: "kg" },
        ],
      });
      for (const key of ["", "k", "kbx", "KB", "kb, kb", "kb,kg"]) {
        expect(await answerOf(await app.post(path, "{ not json", { "x-cognigy-ai-api-key": key }))).toEqual([
          401,
          refusal,
        ]);
      }
      expect(await answerOf(await app.post(path, callback("echo")))).toEqual([401, refusal]);
      expect(await answerOf(await fetch(`${app.url}${path}/call-1`))).toEqual([401, refusal]);
      const socket = net.connect(app.port, "127.0.0.1");
      let text = "";
      socket.on("data", (chunk: Buffer) => (text += chunk.toString()));
      const twice = "X-Cognigy-AI-API-Key: kb\r\nX-Cognigy-AI-API-Key: kb\r\n";
      socket.write(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${twice}Content-Length: 2\r\n\r\n{}`,
      );
      await once(socket, "close");
      expect(text).toContain("HTTP/1.1 401");
      expect(app.seen).toEqual([]);
      for (const key of ["kb", "kg"])
        expect((await app.post(path, callback("echo"), { "x-cognigy-ai-api-key": key })).status).toBe(200);
      expect(app.seen.map(({ caller }) => caller)).toEqual(["cognigy", "cognigy:green"]);
    },
  );

  test("gives calls no particular caller if there are no keys", async () => {
    await using app = await cognigy();
    await app.post(path, callback("echo"));
    expect(app.seen[0]).toMatchObject({ caller: "cognigy", context: undefined, answerWithinMs: 4900 });
  });

  testRequirement("003.12", "names the call and nothing else in an internal error", async () => {
    await using app = await cognigy({ keys: [] });
    const internal = (id: string) => [
      500,
      `{"tool_call_id":"${id}","output":"Internal processing error. Contact support."}`,
    ];
    expect(await answerOf(await app.post(path, callback("boom", {}, "id-7")))).toEqual(internal("id-7"));
    const bare = {
      answerWithinMs: 1,
      sanitize: "text",
      maxOutput: 256,
      maxPending: 1,
      keys: [],
      corsOrigins: [],
    } as const;
    const { failure } = createCognigyAdapter(bare).routes[0]!;
    expect(failure({ status: 500, message: "secret", payload: { tool_call_id: 5 } }).body).toBe(internal("unknown")[1]);
    expect(await answerOf(await app.post(path, callback("down")))).toEqual([
      503,
      '{"error":"the store cannot be reached; nothing has been executed"}',
    ]);
  });

  test("continues the caller's trace", async () => {
    await using app = await cognigy();
    await app.post(path, callback("echo"), { traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" });
    await app.post(path, callback("echo"), { traceparent: "nonsense" });
    await app.post(path, callback("echo"));
    expect(app.seen.map(({ traceId }) => traceId)).toEqual(["0af7651916cd43dd8448eb211c80319c", undefined, undefined]);
  });

  test("starts a span of its own for a request without a trace, if spans are recorded", async () => {
    const spanExporter = new InMemorySpanExporter();
    await using app = await cognigy({ spanExporter });
    await app.post(path, callback("echo"));
    const spans = spanExporter.getFinishedSpans().filter(({ name }) => name === `POST ${path}`);
    expect(spans.map(({ attributes }) => attributes["http.response.status_code"])).toEqual([200]);
    expect(app.seen.map(({ traceId }) => traceId)).toEqual([spans[0]?.spanContext().traceId]);
  });

  test("cancels the call of a client that disconnects, over HTTP/1 and HTTP/2", async () => {
    let cancelled = 0;
    const hang: SimulatedTool = (_args, { signal }) =>
      new Promise(() => signal.addEventListener("abort", () => (cancelled += 1)));
    await using app = await cognigy({ tools: { ...usual, hang } });
    const client = new AbortController();
    const body = JSON.stringify(callback("hang"));
    const headers = { "content-type": "application/json" };
    const gone = fetch(app.url + path, { method: "POST", body, headers, signal: client.signal }).catch(() => "gone");
    await until(() => app.seen.length === 1);
    client.abort();
    expect(await gone).toBe("gone");
    await until(() => cancelled === 1);

    const session = http2.connect(app.url);
    const stream = session.request({ ":method": "POST", ":path": path, ...headers });
    stream.on("error", () => {});
    stream.end(body);
    await until(() => app.seen.length === 2);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await until(() => cancelled === 2);
    session.close();
  });

  test("leaves no listeners on a connection after its calls", async () => {
    const warnings: string[] = [];
    const listen = (warning: Error) => warnings.push(warning.name);
    process.on("warning", listen);
    await using app = await cognigy();
    for (let n = 0; n < 50; n += 1) await (await app.post(path, callback("echo", {}, `${n}`))).text();
    await new Promise(setImmediate);
    process.off("warning", listen);
    expect(warnings).not.toContain("MaxListenersExceededWarning");
  });
});

describe("browsers", () => {
  const origin = "https://app.cognigy.ai";

  testRequirement("003.11", "lets only the configured origins use the callback, and only this route", async () => {
    await using app = await cognigy({ keys: [{ name: "", key: "k" }] });
    const ask = (url: string, from: string) =>
      fetch(app.url + url, {
        method: "OPTIONS",
        headers: {
          origin: from,
          "access-control-request-method": "POST",
          "access-control-request-headers": "x-cognigy-ai-api-key",
        },
      });
    const allowed = await ask(path, origin);
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get("access-control-allow-origin")).toBe(origin);
    expect(allowed.headers.get("access-control-allow-methods")).toBe("POST");
    expect(allowed.headers.get("access-control-allow-headers")).toBe("X-Cognigy-AI-API-Key, Content-Type");
    expect(allowed.headers.get("vary")).toBe("Origin");
    for (const response of [
      await ask(path, "https://evil.example"),
      await ask(`${path}/x`, origin),
      await ask("/healthz", origin),
    ]) {
      expect(response.headers.get("access-control-allow-origin")).toBeNull();
    }
    const send = (from: string, key: string) =>
      app.post(path, callback("echo"), { origin: from, "x-cognigy-ai-api-key": key });
    expect((await send(origin, "k")).headers.get("access-control-allow-origin")).toBe(origin);
    expect((await send(origin, "wrong")).headers.get("access-control-allow-origin")).toBe(origin);
    expect((await send("https://evil.example", "k")).headers.get("access-control-allow-origin")).toBeNull();
    expect((await app.post(path, callback("echo"), { "x-cognigy-ai-api-key": "k" })).headers.get("vary")).toBeNull();
  });
});

describe("metrics", () => {
  testRequirement(
    "003.10",
    "counts good answers as successes, all others as fallbacks, 503 and 500 too, and times only calls that ran",
    async () => {
      await using app = await cognigy();
      for (const name of ["echo", "fail", "picky", "nope", "boom", "down"])
        await (await app.post(path, callback(name, {}, name))).text();
      const text = await app.telemetry.prometheus();
      const lines = text.split("\n").filter((line) => line.startsWith("cognigy_tool_"));
      const sum = (name: string, label: string) =>
        lines
          .filter((line) => line.startsWith(name) && line.includes(label))
          .reduce((total, line) => total + Number(line.split(" ").at(-1)), 0);
      expect(sum("cognigy_tool_invocations_total", 'status="success"')).toBe(1);
      expect(sum("cognigy_tool_invocations_total", 'status="fallback"')).toBe(5);
      expect(sum("cognigy_tool_cost_attribution_total", "tool=")).toBe(2);
    },
  );
});
