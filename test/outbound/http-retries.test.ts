import { describe, expect, test } from "vitest";
import { SentRequests } from "../../src/outbound/sent-requests.ts";
import type { HttpRequest } from "../../src/plugin/tool.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { deadPort, rejection, scope, startDownstream, startOutbound, startRaw } from "./downstream.ts";

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
      // The time until a date depends on the clock, but hours differ clearly from a backoff.
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
    const message = "The request was not sent: its time is over.";
    expect(reason).toMatchObject({ problem: "late", message, sent: false });
    // The connection is reused, which proves that nothing of the first request is in transit.
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
