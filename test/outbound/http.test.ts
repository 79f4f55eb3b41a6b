import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { type Context, SpanKind, trace } from "@opentelemetry/api";
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SentRequests } from "../../src/outbound/sent-requests.ts";
import { type HttpError, isHttpError } from "../../src/plugin/http-error.ts";
import { isToolError } from "../../src/plugin/tool-error.ts";
import type { HttpRequest } from "../../src/plugin/tool.ts";
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

describe("the size of an answer", () => {
  const limit = 10_000;
  const body = JSON.stringify({ text: "a".repeat(500) });

  test("every encoding that we accept is decompressed", async () => {
    const encodings: Record<string, (text: string) => Buffer> = {
      gzip: gzipSync,
      br: brotliCompressSync,
      deflate: deflateSync,
      "x-gzip": gzipSync,
      "gzip, br": (text) => brotliCompressSync(gzipSync(text)),
    };
    await using api = await startDownstream((response, request) => {
      const encoding = decodeURIComponent(request.url!.slice(1));
      if (encoding === "raw") response.setHeader("content-encoding", "deflate").end(deflateRawSync(body));
      else response.setHeader("content-encoding", encoding).end(encodings[encoding]!(body));
    });
    await using outbound = startOutbound({ downstreamBytes: limit });
    const http = outbound.httpFor(scope({ origins: [api.origin] }));
    for (const encoding of [...Object.keys(encodings), "raw"]) {
      expect((await http(`${api.origin}/${encodeURIComponent(encoding)}`)).text(), encoding).toBe(body);
    }
  });

  test("an endless body, a gzip bomb and a brotli bomb end at the limit (hazard 52)", async () => {
    await using api = await startDownstream((response, request) => {
      if (request.url === "/gzip") response.setHeader("content-encoding", "gzip").end(gzipSync(Buffer.alloc(5e6)));
      else if (request.url === "/br")
        response.setHeader("content-encoding", "br").end(brotliCompressSync(Buffer.alloc(5e6)));
      else {
        const pour = (): void => {
          while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        };
        response.on("drain", pour);
        pour();
      }
    });
    await using outbound = startOutbound({ downstreamBytes: limit });
    const http = outbound.httpFor(scope({ origins: [api.origin] }));
    for (const path of ["/gzip", "/br", "/endless"]) {
      expect((await rejection(http(api.origin + path))).message, path).toBe(
        `External API answered more than ${limit} bytes.`,
      );
    }
    expect(api.requests).toHaveLength(3);
  });

  test("an answer of exactly the limit is accepted", async () => {
    await using api = await startDownstream((response) => response.end("x".repeat(limit)));
    await using outbound = startOutbound({ downstreamBytes: limit });
    expect((await outbound.httpFor(scope({ origins: [api.origin] }))(api.origin)).text()).toHaveLength(limit);
  });

  test("six nested encodings, an unknown one and a truncated gzip stream are refused with a message", async () => {
    await using api = await startDownstream((response, request) => {
      const encoding = { "/six": "gzip,gzip,gzip,gzip,gzip,gzip", "/odd": "constructor", "/cut": "gzip" }[
        request.url!
      ]!;
      response.setHeader("content-encoding", encoding).end(gzipSync(body).subarray(0, 20));
    });
    await using outbound = startOutbound({ downstreamBytes: limit });
    const http = outbound.httpFor(scope({ origins: [api.origin] }));
    for (const path of ["/six", "/odd", "/cut"]) {
      expect((await rejection(http(api.origin + path))).message).toBe(
        "External API answered in an encoding that cannot be read.",
      );
    }
  });

  test.each([300, 500])("%d with a huge body still reports its status", async (status) => {
    await using api = await startDownstream((response) => response.writeHead(status).end("e".repeat(limit * 3)));
    await using outbound = startOutbound({ downstreamBytes: limit });
    const reason = await rejection(outbound.httpFor(scope({ origins: [api.origin] }))(api.origin));
    expect(reason.message).toBe(`External API returned ${status}: ${"e".repeat(200)}`);
  });
});

describe("redirects", () => {
  test("are followed for a GET within the origin, and a loop ends after five", async () => {
    await using api = await startDownstream((response, request) => {
      if (request.url === "/old") response.writeHead(302, { location: "/new" }).end();
      else if (request.url === "/new") response.end('"here"');
      else response.writeHead(302, { location: "/loop" }).end("round");
    });
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope({ origins: [api.origin] }));
    expect((await http(`${api.origin}/old`)).json()).toBe("here");
    expect((await rejection(http(`${api.origin}/loop`))).message).toBe("External API returned 302: round");
    expect(api.requests.filter(({ url }) => url === "/loop")).toHaveLength(6);
  });

  test("to another origin are not followed, so that no key is sent there; nor is one of a POST (hazard 53)", async () => {
    await using other = await startDownstream((response) => response.end("{}"));
    await using api = await startDownstream((response, request) =>
      response.writeHead(302, { location: request.url === "/out" ? other.origin : "/elsewhere" }).end("moved"),
    );
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope({ origins: [api.origin, other.origin] }));
    const headers = { "x-api-key": "secret-key" };
    for (const [path, method] of [
      ["/out", "GET"],
      ["/in", "POST"],
    ] as const) {
      expect((await rejection(http(api.origin + path, { method, headers }))).message).toBe(
        "External API returned 302: moved",
      );
    }
    expect(other.requests).toHaveLength(0);
    expect(api.requests).toHaveLength(2);
  });
});

describe("retries", () => {
  testRequirement(
    ["000.12", "003.6", "fault-000.last"],
    "a 429 is retried until it is answered, at most 3 times, with growing pauses",
    async () => {
      await using api = await startDownstream((response, request, nth) => {
        if (request.url === "/never" || nth % 4 !== 0) response.writeHead(429).end("slow down");
        else response.end("{}");
      });
      const pauses: number[] = [];
      await using outbound = startOutbound({ pause: async (ms) => void pauses.push(ms) });
      const http = outbound.httpFor(
        scope({ origins: [api.origin], effect: "write", retry: { baseMs: 40, maxMs: 100 } }),
      );
      expect((await http(`${api.origin}/once`, { method: "POST", json: {} })).status).toBe(200);
      expect(pauses).toEqual([40, 80, 100]);
      const reason = await rejection(http(`${api.origin}/never`));
      expect(reason.message).toBe("External API returned 429: slow down");
      expect(api.requests).toHaveLength(8);
    },
  );

  testRequirement(
    ["000.12", "fault-000.date"],
    "Retry-After replaces the backoff, as seconds and as an HTTP date",
    async () => {
      await using api = await startDownstream((response, request, nth) => {
        const date = new Date(Date.now() + 7_200_000).toUTCString();
        if (nth % 2 === 1) response.writeHead(429, { "retry-after": request.url === "/date" ? date : "3600" }).end();
        else response.end("{}");
      });
      const pauses: number[] = [];
      await using outbound = startOutbound({ pause: async (ms) => void pauses.push(ms) });
      for (const path of ["/date", "/seconds"])
        await outbound.httpFor(scope({ origins: [api.origin], within: 10_000_000 }))(api.origin + path);
      const [byDate, bySeconds] = pauses;
      // What is left until a date depends on the clock: hours are told from backoffs all the same.
      expect(Math.round((byDate ?? 0) / 3_600_000)).toBe(2);
      expect(bySeconds).toBe(3_600_000);
    },
  );

  test("a Retry-After of 0, below 0, in the past or malformed never shortens the first backoff (hazard 49)", async () => {
    const values = ["0", "-1", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", "", ["0", "0"]];
    await using api = await startDownstream((response, request, nth) => {
      if (nth % 2 === 1)
        response
          .setHeader("retry-after", values[Number(request.url!.slice(1))]!)
          .writeHead(429)
          .end();
      else response.end("{}");
    });
    const pauses: number[] = [];
    await using outbound = startOutbound({ pause: async (ms) => void pauses.push(ms) });
    for (const index of values.keys()) {
      await outbound.httpFor(scope({ origins: [api.origin], retry: { baseMs: 60 } }))(`${api.origin}/${index}`);
    }
    expect(pauses).toEqual(values.map(() => 60));
  });

  testRequirement(
    "000.12",
    "a pause beyond the execution deadline is not started: the 429 is returned at once",
    async () => {
      await using api = await startDownstream((response) =>
        response.writeHead(429, { "retry-after": "9999999" }).end("later"),
      );
      const pauses: number[] = [];
      await using outbound = startOutbound({ pause: async (ms) => void pauses.push(ms) });
      const reason = await rejection(outbound.httpFor(scope({ origins: [api.origin], within: 5000 }))(api.origin));
      expect(reason.message).toBe("External API returned 429: later");
      expect(pauses).toEqual([]);
      expect(api.requests).toHaveLength(1);
    },
  );

  const sent: [string, HttpRequest, "read" | "idempotent" | "write", number][] = [
    ["a GET of a write", {}, "write", 4],
    ["a HEAD", { method: "HEAD" }, "read", 4],
    ["a PUT of an idempotent tool", { method: "PUT" }, "idempotent", 4],
    ["a DELETE of a write", { method: "DELETE" }, "write", 1],
    ["a POST without key", { method: "POST" }, "idempotent", 1],
    ["a POST with key of an idempotent tool", { method: "POST", idempotencyKey: "k" }, "idempotent", 4],
    ["a PATCH with key of a write", { method: "PATCH", idempotencyKey: "k" }, "write", 1],
  ];
  for (const [what, request, effect, tries] of sent) {
    testRequirement(
      "000.12",
      `${what} that may have arrived is sent ${tries === 1 ? "once" : "up to four times"}`,
      async () => {
        await using raw = await startRaw((socket) => socket.once("data", () => socket.destroy()));
        await using outbound = startOutbound();
        const reason = await rejection(outbound.httpFor(scope({ origins: [raw.origin], effect }))(raw.origin, request));
        expect(reason.message).toBe("External API could not be reached.");
        expect(raw.connections).toBe(tries);
      },
    );
  }

  test("a write that was never sent is retried: the downstream has started in the meantime", async () => {
    const port = await deadPort();
    await using outbound = startOutbound();
    const origin = `http://127.0.0.1:${port}`;
    const http = outbound.httpFor(scope({ origins: [origin], effect: "write", retry: { baseMs: 150 } }));
    const request = http(origin, { method: "POST", json: {} });
    const { createServer } = await import("node:http");
    const server = createServer((_request, response) => response.end('"up"')).listen(port, "127.0.0.1");
    try {
      expect((await request).json()).toBe("up");
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  test("a TLS failure happens before anything is sent (hazard 50)", async () => {
    await using raw = await startRaw((socket) =>
      socket.once("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n")),
    );
    await using outbound = startOutbound();
    const origin = raw.origin.replace("http:", "https:");
    const http = outbound.httpFor(scope({ origins: [origin], effect: "write" }));
    expect(await rejection(http(origin, { method: "POST" }))).toMatchObject({ problem: "network", sent: false });
    expect(raw.connections).toBe(4);
  });

  test("a truncated body is a network failure, not an answer", async () => {
    await using raw = await startRaw((socket) =>
      socket.once("data", () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"a":')),
    );
    await using outbound = startOutbound();
    const http = outbound.httpFor(scope({ origins: [raw.origin], effect: "write" }));
    expect((await rejection(http(raw.origin, { method: "POST" }))).message).toBe("External API could not be reached.");
    expect(raw.connections).toBe(1);
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

test("a status is thrown as an HttpError with that status, and for the model", async () => {
  await using api = await startDownstream((response) => response.writeHead(409).end("taken"));
  await using outbound = startOutbound();
  const reason = await rejection(outbound.httpFor(scope({ origins: [api.origin] }))(api.origin));
  expect([isHttpError(reason), isToolError(reason), (reason as HttpError).status]).toEqual([true, true, 409]);
});

describe("a request that would leave too late", () => {
  test.each([
    ["after the execution deadline", { deadline: 0 }, "GET"],
    ["after the execution deadline", { deadline: 0 }, "POST"],
    ["when another process may have the call", { sendUntil: 0 }, "POST"],
  ] as const)("%s is not sent (%j, %s)", async (_what, times, method) => {
    await using api = await startDownstream((response) => response.end("{}"));
    await using outbound = startOutbound();
    const sent = new SentRequests();
    const http = outbound.httpFor(scope({ origins: [api.origin], sent, ...times }));
    const reason = await rejection(http(api.origin, { method, idempotencyKey: "k" }));
    expect(reason).toMatchObject({ problem: "late", sent: false });
    // The connection is good for the next one, which proves that nothing of the first one is on its way.
    await outbound.httpFor(scope({ origins: [api.origin] }))(`${api.origin}/next`);
    expect(api.requests.map(({ url }) => url)).toEqual(["/next"]);
    expect([sent.used, sent.mayHaveChanged]).toEqual([true, false]);
  });

  test("is stopped even if it is a retry", async () => {
    let until = Infinity;
    await using api = await startDownstream((response) => {
      until = 0;
      response.writeHead(429).end("{}");
    });
    await using outbound = startOutbound();
    const late = Object.defineProperty({ ...scope({ origins: [api.origin] }) }, "sendUntil", { get: () => until });
    expect(await rejection(outbound.httpFor(late)(api.origin, { method: "POST" }))).toMatchObject({ problem: "late" });
    expect(api.requests).toHaveLength(1);
  });

  test("does not stop a GET if only writes are fenced", async () => {
    await using api = await startDownstream((response) => response.end("{}"));
    await using outbound = startOutbound();
    await outbound.httpFor(scope({ origins: [api.origin], sendUntil: 0 }))(api.origin);
    expect(api.requests).toHaveLength(1);
  });
});

describe("the record of a run's requests", () => {
  test.each<[string, string, number, boolean]>([
    ["GET", "answered", 500, false],
    ["HEAD", "answered", 500, false],
    ["POST", "answered", 200, true],
    ["POST", "answered", 500, true],
    ["PUT", "answered", 404, false],
    ["DELETE", "answered", 429, false],
    ["PATCH", "hung up on", 0, true],
  ])("%s, %s with %d: may have changed something: %s", async (method, _how, status, changed) => {
    await using api = await startDownstream((response) =>
      status === 0 ? void response.destroy() : void response.writeHead(status).end(),
    );
    await using outbound = startOutbound();
    const sent = new SentRequests();
    const http = outbound.httpFor(scope({ origins: [api.origin], sent, effect: "write", retry: { retries: 0 } }));
    await http(api.origin, { method: method as "GET" }).catch(() => {});
    expect([sent.used, sent.mayHaveChanged]).toEqual([true, changed]);
  });

  test("is empty if no connection was made", async () => {
    await using outbound = startOutbound();
    const url = `http://127.0.0.1:${await deadPort()}`;
    const sent = new SentRequests();
    await rejection(outbound.httpFor(scope({ origins: [url], sent, retry: { retries: 0 } }))(url, { method: "POST" }));
    expect(sent.mayHaveChanged).toBe(false);
  });
});
