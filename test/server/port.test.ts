import { once } from "node:events";
import * as http2 from "node:http2";
import * as net from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { createReadiness } from "../../src/app/readiness.ts";
import { PortServer } from "../../src/server/port.ts";
import { frame, framesIn, headerBlock, hello } from "../support/http2-frames.ts";
import { over2, postJson, raw, start, rpcByRequest } from "./start.ts";

const quick = { port: { requestMs: 200, sweepMs: 20, stallMs: 200 } };
const head = "POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

test("slow heads, slow bodies and silent sockets are closed in time (hazard 27)", async () => {
  await using server = await start(quick);
  expect(await raw(server.port, "POST /echo HT")).toMatch(/^HTTP\/1.1 408 .*\{"error":"Request Timeout"\}$/s);
  expect(await raw(server.port, `${head}Content-Length: 10\r\n\r\n{`)).toMatch(/^HTTP\/1.1 408 /);
  expect(await raw(server.port, "")).toBe("");
  expect(await raw(server.port, "PRI * HTTP/2")).toBe("");
});

test("a missing HTTP/2 body is answered with 408 and its stream closed; the session continues (hazard 27)", async () => {
  await using server = await start(quick);
  const session = http2.connect(server.url);
  const stream = session.request({ ":method": "POST", ":path": "/echo", "content-type": "application/json" });
  stream.on("error", () => {});
  stream.write("{");
  const [answer] = (await once(stream, "response")) as [http2.IncomingHttpHeaders];
  expect(answer[":status"]).toBe(408);
  stream.resume();
  if (!stream.closed) await once(stream, "close");
  expect((await over2(session, { ":path": "/healthz" })).headers[":status"]).toBe(200);
  session.destroy();
});

test("an answer may take longer than the limit for requests", async () => {
  await using server = await start({
    ...quick,
    mounts: [
      (app) =>
        void app.post("/slow", async () => {
          const began = performance.now();
          await vi.waitUntil(() => performance.now() - began > 500, { timeout: 5000 });
          return { done: true };
        }),
    ],
  });
  const session = http2.connect(server.url);
  const slow2 = over2(session, { ":method": "POST", ":path": "/slow", "content-type": "application/json" }, "{}");
  const slow1 = postJson(`${server.url}/slow`, "{}");
  expect((await slow2).text).toBe('{"done":true}');
  expect((await slow1).status).toBe(200);
  session.destroy();
});

test.each([
  ["two lengths", `${head}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`],
  ["length and chunks", `${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ["an unknown transfer coding", `${head}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`],
  ["a signed length", `${head}Content-Length: +2\r\n\r\n{}`],
  ["no Host", "GET /healthz HTTP/1.1\r\n\r\n"],
  ["a NUL in a header", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n"],
  ["bare line feeds", "GET /healthz HTTP/1.1\nHost: localhost\n\n"],
  ["no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"],
])("%s is refused with 400 and the connection closed (hazard 28)", async (_name, bytes) => {
  await using server = await start(quick);
  expect(await raw(server.port, bytes)).toMatch(/^HTTP\/1.1 400 [^]*$/);
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
});

test("a body in a transfer coding other than chunked is refused with 501, for routes and RPCs (hazard 28)", async () => {
  await using server = await start(quick);
  const body = "Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
  for (const path of ["/echo", "/jackfield.v1.ToolExecutor/ExecuteTool"]) {
    const request = `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n${body}`;
    expect(await raw(server.port, request)).toMatch(/^HTTP\/1.1 501 .*Transfer-Encoding must be chunked/s);
  }
  const chunked = `POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n`;
  expect(await raw(server.port, `${chunked}${body.replace("gzip, chunked", "Chunked")}`)).toMatch(/^HTTP\/1.1 200 /);
});

test("a head of 20 kB and 2,500 short headers are refused with 431 (hazard 29)", async () => {
  await using server = await start();
  const request = (lines: string) => `GET /healthz HTTP/1.1\r\nHost: localhost\r\n${lines}\r\n`;
  expect(await raw(server.port, request(`X: ${"a".repeat(20_000)}\r\n`))).toMatch(/^HTTP\/1.1 431 .*\{"error":/s);
  expect(await raw(server.port, request("a:b\r\n".repeat(2500)))).toMatch(/^HTTP\/1.1 431 .*\{"error":/s);
});

test("an expectation other than 100-continue is refused with 417, as JSON", async () => {
  await using server = await start();
  const answer = await raw(server.port, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nExpect: 200-ok\r\n\r\n");
  expect(answer).toMatch(/^HTTP\/1.1 417 .*\r\n\r\n\{"error":"Expectation Failed"\}$/s);
});

test("of 2,000 streams on one connection at most 100 are open, the rest are refused (hazard 31)", async () => {
  let most = 0;
  let open = 0;
  await using server = await start({
    rpc: rpcByRequest((_request, response) => {
      open += 1;
      most = Math.max(most, open);
      response.on("close", () => (open -= 1));
    }),
  });
  const settings = await new Promise<http2.Settings>((resolve) => {
    const session = http2.connect(server.url, () => {});
    session.once("remoteSettings", (told) => {
      resolve(told);
      session.destroy();
    });
  });
  expect(settings.maxConcurrentStreams).toBe(100);
  // A client that does not wait for the settings.
  const block = headerBlock("/grpc.x");
  const frames = Array.from({ length: 2000 }, (_, index) => frame(1, 4, 2 * index + 1, block));
  const socket = net.connect(server.port, "127.0.0.1");
  let answer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => (answer = Buffer.concat([answer, chunk])));
  socket.on("error", () => {});
  socket.write(Buffer.concat([hello, ...frames.slice(0, 100)]));
  await vi.waitFor(() => expect(most).toBe(100));
  socket.write(Buffer.concat(frames.slice(100)));
  await vi.waitFor(() =>
    expect(socket.destroyed || framesIn(answer).some(({ type }) => type === 3 || type === 7)).toBe(true),
  );
  expect(most).toBe(100);
  socket.destroy();
});

test.each([
  ["PING", frame(6, 0, 0, Buffer.alloc(8))],
  ["SETTINGS", frame(4, 0, 0, Buffer.alloc(0))],
])("a flood of %s frames ends its own session with GOAWAY and no other", async (_name, bytes) => {
  await using server = await start();
  const other = http2.connect(server.url);
  expect((await over2(other, { ":path": "/healthz" })).headers[":status"]).toBe(200);
  const flood = Buffer.concat([hello, ...Array.from({ length: 500 }, () => bytes)]);
  const answer = Buffer.from(await raw(server.port, flood), "latin1");
  expect(
    framesIn(answer).some(
      ({ type, body }) => type === 7 && body.readUInt32BE(4) === http2.constants.NGHTTP2_ENHANCE_YOUR_CALM,
    ),
  ).toBe(true);
  expect((await over2(other, { ":path": "/healthz" })).headers[":status"]).toBe(200);
  other.destroy();
});

test("a client that does not read a large answer is disconnected (hazard 32)", async () => {
  let closed = false;
  await using server = await start({
    ...quick,
    rpc: rpcByRequest((_request, response) => {
      response.on("close", () => (closed = true));
      response.end(Buffer.alloc(50_000_000));
    }),
  });
  const socket = net.connect(server.port, "127.0.0.1");
  socket.on("error", () => {});
  socket.pause();
  socket.write("GET /grpc.x HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await vi.waitFor(() => expect(closed).toBe(true), { timeout: 5000 });
  closed = false;
  const session = http2.connect(server.url);
  session.on("error", () => {});
  const stream = session.request({ ":path": "/grpc.x" });
  stream.on("error", () => {});
  stream.pause();
  await vi.waitFor(() => expect(closed).toBe(true), { timeout: 5000 });
  socket.destroy();
  session.destroy();
});

test("closing lets running requests finish on both protocols and then closes their connections", async () => {
  const entered = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  let count = 0;
  const readiness = createReadiness([]);
  await using server = await start({
    readiness,
    mounts: [
      (app) =>
        void app.post("/held", async () => {
          if (++count === 2) entered.resolve();
          await release.promise;
          return { ok: true };
        }),
    ],
  });
  const idle = net.connect(server.port, "127.0.0.1");
  const idleClosed = once(idle, "close");
  const session = http2.connect(server.url);
  const second = over2(session, { ":method": "POST", ":path": "/held", "content-type": "application/json" }, "{}");
  const first = postJson(`${server.url}/held`, "{}");
  await entered.promise;

  readiness.drain();
  const refused = await postJson(`${server.url}/echo`, "{}");
  expect([refused.status, await refused.json()]).toEqual([503, { error: "The service is shutting down" }]);
  expect((await fetch(`${server.url}/readyz`)).status).toBe(503);
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);

  const closed = server.app.close();
  await idleClosed;
  release.resolve();
  expect(await (await first).json()).toEqual({ ok: true });
  expect((await second).text).toBe('{"ok":true}');
  await closed;
  await expect(fetch(`${server.url}/healthz`)).rejects.toThrow();
});

/** Starts a port that counts its streams, and sends the frames of 5,000 streams, each reset at once. */
async function startCounting() {
  let begun = 0;
  const server = new PortServer(() => {}, {
    streams: () => {
      begun += 1;
      return () => {};
    },
  }).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const block = headerBlock("/jackfield.v1.ToolExecutor/ExecuteTool", { te: "trailers" });
  const cancel = Buffer.from([0, 0, 0, http2.constants.NGHTTP2_CANCEL]);
  const resets = Array.from({ length: 5000 }, (_, index) =>
    Buffer.concat([frame(1, 4, 2 * index + 1, block), frame(3, 0, 2 * index + 1, cancel)]),
  );
  return { port: (server.address() as net.AddressInfo).port, resets: Buffer.concat(resets), begun: () => begun };
}

test("a client that resets streams rapidly is stopped at twice its limit of open streams (hazard 30)", async () => {
  const { port, resets, begun } = await startCounting();
  const socket = net.connect(port, "127.0.0.1").on("error", () => {});
  socket.write(hello);
  await once(socket, "data");
  socket.resume().write(resets);
  await new Promise((resolve) => socket.once("close", resolve));
  // Node alone would process everything that it has read in one piece, about 550 here.
  expect(begun()).toBe(201);
});

test("a client that resets streams in its first bytes is disconnected (hazard 30)", async () => {
  const { port, resets, begun } = await startCounting();
  const socket = net.connect(port, "127.0.0.1").on("error", () => {});
  socket.resume().write(Buffer.concat([hello, resets]));
  await new Promise((resolve) => socket.once("close", resolve));
  expect(begun()).toBe(0);
});

test("a client may cancel all its open streams, and continue (hazard 30)", async () => {
  const { port, begun } = await startCounting();
  const session = http2.connect(`http://127.0.0.1:${port}`);
  for (const expected of [100, 200]) {
    const streams = Array.from({ length: 100 }, () => session.request().on("error", () => {}));
    await vi.waitFor(() => expect(begun()).toBe(expected));
    const closed = streams.map((stream) => once(stream, "close"));
    for (const stream of streams) stream.close(http2.constants.NGHTTP2_CANCEL);
    await Promise.all(closed);
  }
  session.request().on("error", () => {});
  await vi.waitFor(() => expect(begun()).toBe(201));
  session.destroy();
});
