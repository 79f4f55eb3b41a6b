import { type Context, SpanKind, trace } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type HttpError, isHttpError } from "../../src/plugin/http-error.ts";
import { isToolError } from "../../src/plugin/tool-error.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { deadPort, rejection, scope, startDownstream, startOutbound, startRaw } from "./downstream.ts";

describe("a request", () => {
  test("sends method, query, headers, JSON body, idempotency key and our name", async () => {
    await using api = await startDownstream((response) => response.end('{"ok":true}'));
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope({ origins: [api.origin] }));
    const answer = await http(`${api.origin}/orders?x=1`, {
      method: "POST",
      query: { page: 2, empty: undefined, word: "a b&c" },
      headers: { Authorization: "Bearer abc" },
      json: { id: "ü" },
      idempotencyKey: "k-1",
    });
    expect(answer.json()).toEqual({ ok: true });
    const [seen] = api.requests;
    expect(seen).toMatchObject({ method: "POST", url: "/orders?x=1&page=2&word=a+b%26c", body: '{"id":"ü"}' });
    expect(seen!.headers).toMatchObject({
      authorization: "Bearer abc",
      "content-type": "application/json",
      "idempotency-key": "k-1",
      "user-agent": "Jackfield/9.9.9",
    });
  });

  test("propagates the trace", async () => {
    await using api = await startDownstream((response) => response.end("{}"));
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    await using outbound = startOutbound({
      telemetry: { tracing: false, inject: () => ({ traceparent }), metrics: { breakerChanged() {} } } as never,
    });
    await outbound.httpFor(scope({ origins: [api.origin] }))(api.origin);
    expect(api.requests[0]!.headers["traceparent"]).toBe(traceparent);
  });

  test("has a client span with method, host and status, and without path or query", async () => {
    await using api = await startDownstream((response) => response.writeHead(404).end());
    const exporter = new InMemorySpanExporter();
    const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
    const tracer = provider.getTracer("test");
    const inject = (context: Context) => ({ traceparent: `00-${trace.getSpanContext(context)!.traceId}` });
    await using outbound = startOutbound({
      telemetry: { tracing: true, tracer, inject, metrics: { breakerChanged() {} } } as never,
    });
    await rejection(outbound.httpFor(scope({ origins: [api.origin] }))(`${api.origin}/orders/7?name=x`));
    const spans = exporter.getFinishedSpans();
    expect(spans).toHaveLength(1);
    expect(spans[0]).toMatchObject({
      name: "GET",
      kind: SpanKind.CLIENT,
      attributes: {
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "server.port": api.port,
        "http.response.status_code": 404,
      },
    });
    expect(JSON.stringify(spans[0]!.attributes)).not.toMatch(/orders|name/);
    expect(api.requests[0]!.headers["traceparent"]).toBe(`00-${spans[0]!.spanContext().traceId}`);
    await provider.shutdown();
  });

  test("returns the numbers of the answer as they were written (hazard 19)", async () => {
    const body = '{"id":9007199254740993,"big":1e400,"n":1.5}';
    await using api = await startDownstream((response) => response.end(body));
    await using outbound = startOutbound();
    const answer = (await outbound.httpFor(scope({ origins: [api.origin] }))(api.origin)).json<{ id: number }>();
    expect(JSON.stringify(answer)).toBe(body);
    expect(`order ${answer.id}`).toBe("order 9007199254740993");
  });

  test("is ended promptly by the signal, whose reason is thrown unchanged", async () => {
    await using api = await startDownstream(() => {});
    await using outbound = startOutbound();
    const controller = new AbortController();
    const reason = new Error("the deadline");
    const request = outbound.httpFor(scope({ origins: [api.origin], signal: controller.signal }))(api.origin);
    await expect.poll(() => api.requests.length).toBe(1);
    controller.abort(reason);
    expect(await rejection(request)).toBe(reason);
  });

  test("is ended by the signal while the body arrives slowly, and while a retry is pending", async () => {
    await using api = await startDownstream((response, request) => {
      if (request.url === "/slow") {
        response.write("{");
        const drip = setInterval(() => response.write(" "), 5);
        response.on("close", () => clearInterval(drip));
      } else {
        response.writeHead(429, { "retry-after": "2" }).end();
      }
    });
    await using outbound = startOutbound();
    for (const path of ["/slow", "/busy"]) {
      const controller = new AbortController();
      const request = outbound.httpFor(scope({ origins: [api.origin], signal: controller.signal }))(api.origin + path);
      await expect.poll(() => api.requests.some(({ url }) => url === path)).toBe(true);
      controller.abort(new Error(path));
      expect((await rejection(request)).message).toBe(path);
    }
  });
});

describe("the error that the model reads", () => {
  testRequirement(
    ["000.12", "003.6"],
    "a 5xx and any other non-2xx fails at once with status and body (hazard 50)",
    async () => {
      await using api = await startDownstream((response, request) =>
        response.writeHead(Number(request.url!.slice(1))).end("went wrong"),
      );
      await using outbound = startOutbound();
      for (const status of [400, 401, 404, 409, 418, 500, 502, 503, 504]) {
        const reason = await rejection(outbound.httpFor(scope({ origins: [api.origin] }))(`${api.origin}/${status}`));
        expect(reason.message).toBe(`External API returned ${status}: went wrong`);
        expect(isToolError(reason)).toBe(true);
        expect(api.requests.filter(({ url }) => url === `/${status}`)).toHaveLength(1);
      }
    },
  );

  test("contains at most 200 code points of the body, without splitting a character", async () => {
    await using api = await startDownstream((response) => response.writeHead(500).end("😀".repeat(300)));
    await using outbound = startOutbound();
    const reason = await rejection(outbound.httpFor(scope({ origins: [api.origin] }))(api.origin));
    expect(reason.message).toBe(`External API returned 500: ${"😀".repeat(200)}`);
  });

  test("does not contain keys that were sent and are echoed in the body", async () => {
    await using api = await startDownstream((response, request) =>
      response
        .writeHead(403)
        .end(`no access for ${String(request.headers["x-api-key"])} at http://10.1.2.3:8080/internal`),
    );
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope({ origins: [api.origin] }));
    const reason = await rejection(http(api.origin, { headers: { "X-Api-Key": "hunter2hunter2" } }));
    expect(reason.message).toBe("External API returned 403: no access for [redacted] at [internal URL]");
  });

  test("describes HTML, truncated JSON and empty bodies as not JSON; a 204 is undefined (hazard 52)", async () => {
    await using api = await startDownstream((response, request) => {
      if (request.url === "/204") response.writeHead(204).end();
      else response.end({ "/html": "<html>", "/cut": '{"a":', "/empty": "" }[request.url!]);
    });
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope({ origins: [api.origin] }));
    for (const path of ["/html", "/cut", "/empty"]) {
      const answer = await http(api.origin + path);
      expect(() => answer.json()).toThrow("External API answered something that is not JSON.");
    }
    expect((await http(`${api.origin}/204`)).json()).toBeUndefined();
  });

  test("describes a network failure, and keeps the cause for the log", async () => {
    await using outbound = startOutbound();
    const origin = `http://127.0.0.1:${await deadPort()}`;
    const reason = await rejection(outbound.httpFor(scope({ origins: [origin] }))(origin));
    expect(reason.message).toBe("External API could not be reached.");
    expect(reason.cause).toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("send", () => {
  test("resolves with any status and never retries or redirects", async () => {
    await using api = await startDownstream((response, request) =>
      response
        .writeHead(Number(request.url!.slice(1)), { location: "/200", "retry-after": "1" })
        .end("token=abcdef1234"),
    );
    await using outbound = startOutbound();
    for (const status of [200, 302, 401, 429, 503]) {
      const signal = AbortSignal.timeout(5000);
      const answer = await outbound.send(
        `${api.origin}/${status}`,
        {},
        { signal, configuredOrigins: new Set([api.origin]) },
      );
      expect(answer.status).toBe(status);
      expect(answer.headers["retry-after"]).toBe("1");
      expect(answer.excerpt()).toBe("token=[redacted]");
    }
    expect(api.requests).toHaveLength(5);
  });
});

test("any query parameter arrives unchanged", async () => {
  await using api = await startDownstream((response, request) =>
    response.end(JSON.stringify(Object.fromEntries(new URL(request.url!, "http://x").searchParams))),
  );
  await using outbound = startOutbound();
  const http = outbound.httpFor(scope({ origins: [api.origin], within: 20_000 }));
  await fc.assert(
    fc.asyncProperty(
      fc.dictionary(fc.string({ unit: "grapheme", minLength: 1 }), fc.string({ unit: "grapheme" }), {
        maxKeys: 4,
        noNullPrototype: true,
      }),
      async (query) => {
        const back = (await http(api.origin, { query })).json<Record<string, string>>();
        expect(Object.entries(back).sort()).toEqual(Object.entries(query).sort());
      },
    ),
    { numRuns: 50 },
  );
});

describe("throwOnError: false", () => {
  test("returns an answer of any status, after all retries", async () => {
    await using api = await startDownstream((response, { url }) =>
      response.writeHead(Number(url?.slice(1))).end("why"),
    );
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope({ origins: [api.origin], retry: { retries: 1, baseMs: 1 } }));
    for (const status of [404, 409, 500, 429]) {
      const got = await http(`${api.origin}/${status}`, { throwOnError: false });
      expect([got.status, got.text()]).toEqual([status, "why"]);
    }
    expect(api.requests.map(({ url }) => url)).toEqual(["/404", "/409", "/500", "/429", "/429"]);
  });

  test("still throws if there is no answer", async () => {
    await using outbound = startOutbound();
    const url = `http://127.0.0.1:${await deadPort()}`;
    const http = outbound.httpFor(scope({ origins: [url], retry: { retries: 0 } }));
    const reason = await rejection(http(url, { throwOnError: false }));
    expect([isHttpError(reason), (reason as HttpError).status]).toEqual([true, undefined]);
  });
});

test("closing ends the connections to configured and to other origins", async () => {
  const closed = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  await using api = await startRaw((socket, nth) => {
    socket.on("close", () => closed[nth - 1]?.resolve());
    const head = ["HTTP/1.1 200 OK", "keep-alive: timeout=600", "content-length: 2"];
    socket.on("data", () => socket.write(`${head.join("\r\n")}\r\n\r\n{}`));
  });
  const outbound = startOutbound({ privateAddresses: ["127.0.0.1"] });
  for (const origins of [[api.origin], []]) await outbound.httpFor(scope({ origins }))(api.origin);
  expect(api.connections).toBe(2);
  await outbound.close();
  await Promise.all(closed.map(({ promise }) => promise));
});

test("a status is thrown as an HttpError with that status, and for the model", async () => {
  await using api = await startDownstream((response) => response.writeHead(409).end("taken"));
  await using outbound = startOutbound();
  const reason = await rejection(outbound.httpFor(scope({ origins: [api.origin] }))(api.origin));
  expect([isHttpError(reason), isToolError(reason), (reason as HttpError).status]).toEqual([true, true, 409]);
});
