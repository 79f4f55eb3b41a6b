import { getEventListeners } from "node:events";
import { type Context, SpanStatusCode, trace } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import { describe, expect, test } from "vitest";
import type { ToolLog } from "../../src/plugin/tool.ts";
import { deadPort, rejection, scope, startDownstream, startOutbound } from "./downstream.ts";

/** Starts a downstream that returns a text of the test as its error. */
function startEchoOf(text: string) {
  return startDownstream((response) => response.writeHead(400).end(text));
}

describe("the content of a request", () => {
  test("accepts JSON, and the encodings that can be decompressed", async () => {
    await using api = await startDownstream((response) => response.end("{}"));
    await using outbound = startOutbound();
    await outbound.httpFor(scope({ origins: [api.origin] }))(api.origin);
    const { headers, method, body } = api.requests[0]!;
    expect(headers).toMatchObject({ accept: "application/json", "accept-encoding": "gzip, deflate, br" });
    expect(headers).not.toHaveProperty("content-type");
    expect(headers).not.toHaveProperty("idempotency-key");
    expect([method, body]).toEqual(["GET", ""]);
  });

  test.each([["a=b&c=d"], [new TextEncoder().encode("a=b&c=d")]])(
    "has the tool's own body with the tool's own type, unchanged (%o)",
    async (body) => {
      await using api = await startDownstream((response) => response.end("{}"));
      await using outbound = startOutbound();
      const headers = { "Content-Type": "application/x-www-form-urlencoded", Accept: "text/csv" };
      await outbound.httpFor(scope({ origins: [api.origin] }))(api.origin, { method: "POST", headers, body });
      expect(api.requests[0]!.body).toBe("a=b&c=d");
      expect(api.requests[0]!.headers).toMatchObject({
        "content-type": "application/x-www-form-urlencoded",
        accept: "text/csv",
      });
    },
  );

  test("needs a valid URL", async () => {
    await using outbound = startOutbound();
    const reason = await rejection(outbound.httpFor(scope())("orders/7"));
    expect(reason.message).toBe("The URL is not valid.");
    expect(reason).toMatchObject({ problem: "refused", sent: false });
  });

  test("needs headers that HTTP allows: anything else is a mistake of the tool, not a network failure", async () => {
    await using api = await startDownstream((response) => response.end("{}"));
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope({ origins: [api.origin] }));
    for (const [headers, code] of [
      [{ "x-note": "two\nlines" }, "UND_ERR_INVALID_ARG"],
      [{ expect: "100-continue" }, "UND_ERR_NOT_SUPPORTED"],
    ] as const) {
      const reason = await rejection(http(api.origin, { headers }));
      expect(reason).toMatchObject({ code });
      expect(reason).not.toHaveProperty("problem");
    }
    expect(api.requests).toEqual([]);
  });
});

describe("a secret that was sent", () => {
  test.each(["Authorization", "X-Api-Key", "X-Auth", "X-Token", "x-client-secret", "Cookie", "x-password"])(
    "in the header %s is not quoted, with its scheme or without",
    async (name) => {
      await using api = await startEchoOf("winter 2024 is over, so is Bearer winter 2024");
      await using outbound = startOutbound();
      const http = outbound.httpFor(scope({ origins: [api.origin] }));
      const reason = await rejection(http(api.origin, { headers: { [name]: "Bearer winter 2024" } }));
      expect(reason.message).toBe("External API returned 400: [redacted] is over, so is [redacted]");
    },
  );

  test("does not include other headers, or the idempotency key", async () => {
    await using api = await startEchoOf("winter 2024 and order-7");
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope({ origins: [api.origin] }));
    const headers = { "x-season": "winter 2024", "Idempotency-Key": "order-7" };
    expect((await rejection(http(api.origin, { headers }))).message).toBe(
      "External API returned 400: winter 2024 and order-7",
    );
  });

  test("by a credential is not quoted either", async () => {
    await using api = await startEchoOf("x-key winter 2024 and Bearer winter 2024");
    await using outbound = startOutbound();
    const credential = {
      secrets: [],
      headers: async () => ({ "x-odd": "Bearer winter 2024" }),
      renew: async () => undefined,
    };
    const http = outbound.httpFor(scope({ origins: [api.origin], credential }));
    expect((await rejection(http(api.origin))).message).toBe(
      "External API returned 400: x-key [redacted] and [redacted]",
    );
  });

  test("by a credential is omitted if the tool sets one of its headers itself", async () => {
    await using api = await startDownstream((response) => response.end("{}"));
    await using outbound = startOutbound();
    const credential = {
      secrets: [],
      headers: async () => ({ "x-key": "k", "x-id": "i" }),
      renew: async () => undefined,
    };
    const http = outbound.httpFor(scope({ origins: [api.origin], credential }));
    await http(api.origin, { headers: { "X-Key": "own" } });
    expect(api.requests[0]!.headers).toMatchObject({ "x-key": "own" });
    expect(api.requests[0]!.headers).not.toHaveProperty("x-id");
  });

  test("by a credential that was refused and cannot be renewed is not sent again", async () => {
    await using api = await startDownstream((response) => response.writeHead(401).end("who?"));
    await using outbound = startOutbound();
    const credential = { secrets: [], headers: async () => ({ "x-key": "k" }), renew: async () => undefined };
    const http = outbound.httpFor(scope({ origins: [api.origin], credential }));
    expect((await rejection(http(api.origin))).message).toBe("External API returned 401: who?");
    expect(api.requests).toHaveLength(1);
  });
});

describe("redirects", () => {
  test.each([301, 302, 303, 307, 308])("of status %d are followed by GET and HEAD", async (status) => {
    await using api = await startDownstream((response, request) => {
      if (request.url === "/new?x=1") response.end('"here"');
      else response.writeHead(status, { location: `${api.origin}/new?x=1` }).end();
    });
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope({ origins: [api.origin] }));
    expect((await http(`${api.origin}/a/b`)).json()).toBe("here");
    expect((await http(`${api.origin}/a/b`, { method: "HEAD" })).status).toBe(200);
    expect(api.requests.map(({ method }) => method)).toEqual(["GET", "GET", "HEAD", "HEAD"]);
  });

  test.each([
    [300, "/new"],
    [304, "/new"],
    [302, undefined],
    [302, "http://[broken"],
  ])("of status %d to %s are returned as answers", async (status, location) => {
    await using api = await startDownstream((response) =>
      response.writeHead(status, location === undefined ? {} : { location }).end(),
    );
    await using outbound = startOutbound();
    const reason = await rejection(outbound.httpFor(scope({ origins: [api.origin] }))(api.origin));
    expect(reason).toMatchObject({ problem: "status", status });
    expect(api.requests).toHaveLength(1);
  });
});

describe("a waiting request", () => {
  test("for its next attempt ends with the reason of the signal, even if no status is thrown", async () => {
    await using api = await startDownstream((response) => response.writeHead(429).end());
    const controller = new AbortController();
    await using outbound = startOutbound({
      pause: async (_ms, signal) => {
        controller.abort(new Error("gone"));
        signal.throwIfAborted();
      },
    });
    const http = outbound.httpFor(scope({ origins: [api.origin], signal: controller.signal }));
    expect((await rejection(http(api.origin, { throwOnError: false }))).message).toBe("gone");
    expect(api.requests).toHaveLength(1);
  });

  test("logs a line for each retry: origin, number, pause and reason", async () => {
    await using api = await startDownstream((response, _request, nth) => response.writeHead(nth < 3 ? 429 : 200).end());
    const lines: unknown[] = [];
    const log = { warn: (message: string, fields: object) => lines.push([message, fields]) } as unknown as ToolLog;
    await using outbound = startOutbound({ random: () => 0.5, pause: async () => {} });
    const retry = { baseMs: 21, maxMs: 80, retries: 2 };
    await outbound.httpFor(scope({ origins: [api.origin], log: () => log, retry }))(`${api.origin}/x?y=1`);
    const dead = `http://127.0.0.1:${await deadPort()}`;
    await rejection(
      outbound.httpFor(scope({ origins: [dead], log: () => log, retry: { ...retry, retries: 1 } }))(dead),
    );
    const message = "a request is repeated after a pause";
    expect(lines).toEqual([
      [message, { origin: api.origin, attempt: 1, wait_ms: 24, status: 429 }],
      [message, { origin: api.origin, attempt: 2, wait_ms: 47, status: 429 }],
      [message, { origin: dead, attempt: 1, wait_ms: 24, problem: "network" }],
    ]);
  });

  test("leaves no listener on the signal, however it ends", async () => {
    await using api = await startDownstream((response, _request, nth) => {
      if (nth === 1) response.end("{}");
      else response.destroy();
    });
    await using outbound = startOutbound({ inFlightPerOrigin: 1 });
    const { signal } = new AbortController();
    const http = outbound.httpFor(scope({ origins: [api.origin], signal, retry: { retries: 0 } }));
    await Promise.allSettled([http(api.origin), http(api.origin), http(api.origin)]);
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });
});

describe("the span of a request", () => {
  async function spanOf(act: (outbound: ReturnType<typeof startOutbound>, origin: string) => Promise<unknown>) {
    await using api = await startDownstream((response, request) => {
      const status = Number(request.url!.slice(1));
      if (status > 0) response.writeHead(status).end();
      else response.destroy();
    });
    const exporter = new InMemorySpanExporter();
    const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
    const inject = (context: Context) => ({ traceparent: trace.getSpanContext(context)!.traceId });
    await using outbound = startOutbound({
      telemetry: {
        tracing: true,
        tracer: provider.getTracer("test"),
        inject,
        metrics: { breakerChanged() {} },
      } as never,
    });
    await act(outbound, api.origin);
    const spans = exporter.getFinishedSpans();
    await provider.shutdown();
    expect(spans).toHaveLength(1);
    return spans[0]!;
  }

  const once = { retry: { retries: 0 } };

  test("has no error status for a success", async () => {
    const span = await spanOf((outbound, origin) =>
      outbound.httpFor(scope({ origins: [origin], ...once, attributes: () => ({ "tool.name": "x" }) }))(
        `${origin}/200`,
      ),
    );
    expect(span.attributes).toMatchObject({ "tool.name": "x", "http.response.status_code": 200 });
    expect(span.attributes).not.toHaveProperty("error.type");
    expect(span.status.code).toBe(SpanStatusCode.UNSET);
  });

  test.each([
    ["/400", "400"],
    ["/503", "503"],
    ["/0", "network"],
  ])("of %s has an error status and its reason", async (path, errorType) => {
    const span = await spanOf((outbound, origin) =>
      rejection(outbound.httpFor(scope({ origins: [origin], ...once }))(origin + path)),
    );
    expect(span.attributes["error.type"]).toBe(errorType);
    expect(span.status.code).toBe(SpanStatusCode.ERROR);
  });

  test("contains the default port of the scheme, and an end by the signal", async () => {
    for (const [url, port] of [
      ["http://localhost/", 80],
      ["https://localhost/", 443],
    ] as const) {
      const span = await spanOf(async (outbound) => {
        const controller = new AbortController();
        const configuredOrigins = new Set([new URL(url).origin]);
        const sent = outbound.send(url, {}, { signal: controller.signal, configuredOrigins });
        controller.abort(new Error("gone"));
        return rejection(sent);
      });
      expect(span.attributes).toMatchObject({ "server.port": port, "error.type": "aborted" });
    }
  });
});

test("without spans a request without a trace propagates none", async () => {
  await using api = await startDownstream((response) => response.end("{}"));
  await using outbound = startOutbound({
    telemetry: { tracing: false, inject: () => ({ traceparent: "x" }), metrics: { breakerChanged() {} } } as never,
  });
  await outbound.send(api.origin, {}, { signal: AbortSignal.timeout(5000), configuredOrigins: new Set([api.origin]) });
  expect(api.requests[0]!.headers).not.toHaveProperty("traceparent");
});
