import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import type { Dispatcher } from "undici";
import { describe, expect, test } from "vitest";
import { createAddressGuard } from "../../src/outbound/address-guard.ts";
import { createOrigins } from "../../src/outbound/origins.ts";
import { createSender } from "../../src/outbound/sender.ts";
import { rejection, scope, startDownstream, startOutbound } from "./downstream.ts";

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

  test("a body in chunks of one byte takes hardly more memory than its size", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const used = (): number => {
      collect();
      return process.memoryUsage().heapUsed;
    };
    const sent = Buffer.from("abcdefghij".repeat(30_000));
    let perByte = 0;
    const dispatcher = {
      dispatch(_: unknown, handler: Required<Dispatcher.DispatchHandler>) {
        const controller = {} as Dispatcher.DispatchController;
        handler.onRequestStart(controller, {});
        handler.onResponseStart(controller, 200, {});
        const before = used();
        for (let at = 0; at < sent.length; at++) handler.onResponseData(controller, sent.subarray(at, at + 1));
        perByte = (used() - before) / sent.length;
        handler.onResponseEnd(controller, {});
      },
    } as unknown as Dispatcher;
    const send = createSender({
      guard: createAddressGuard({ privateAddresses: [] }),
      guarded: dispatcher,
      configured: dispatcher,
      downstreamBytes: sent.length,
      telemetry: { tracing: false, inject: () => ({}) } as unknown as Parameters<typeof createSender>[0]["telemetry"],
      stateOf: createOrigins({
        inFlightPerOrigin: () => 1,
        breakerFailures: 1,
        breakerOpenMs: 1,
        now: () => 0,
        metrics: { breakerChanged() {} },
        pace: (run) => run(),
      }),
    });
    const url = new URL("http://127.0.0.1");
    const prepared = { url, method: "GET", headers: {}, body: undefined, secrets: [] };
    const answer = await send(prepared, scope({ origins: [url.origin] }));
    expect(answer.text()).toBe(sent.toString());
    expect(perByte).toBeLessThan(10);
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
