import * as http2 from "node:http2";
import { describe, expect, test } from "vitest";
import { createReadiness } from "../../src/app/readiness.ts";
import { createChallenges } from "../../src/auth/challenge.ts";
import type { Caller } from "../../src/auth/caller.ts";
import { over2, postJson, raw, rpcByRequest, start } from "./start.ts";

const nobody = { authenticate: () => undefined };

describe("problems of JSON routes", () => {
  test("are reported in the order 401, 404, 405, 413, 415, 400", async () => {
    await using server = await start({
      mounts: [
        (app) => {
          app.post("/keyed", {
            onRequest: (request, reply, done) => {
              if (request.headers["x-key"] === "k") done();
              else reply.code(401).send({ error: "no key" });
            },
            handler: async () => ({}),
          });
        },
      ],
    });
    const large = "x".repeat(65_537);
    const ask = async (path: string, method: string, body: string | undefined, headers: Record<string, string>) => {
      const answer = await fetch(server.url + path, { method, headers, ...(body === undefined ? {} : { body }) });
      return [answer.status, await answer.json()];
    };
    const type = { "content-type": "text/plain" };
    expect(await ask("/keyed", "PUT", large, type)).toEqual([401, { error: "no key" }]);
    expect(await ask("/nowhere", "PUT", large, type)).toEqual([404, { error: "Not found" }]);
    expect(await ask("/keyed", "PUT", large, { ...type, "x-key": "k" })).toEqual([
      405,
      { error: "Method not allowed" },
    ]);
    expect(await ask("/keyed", "POST", large, { ...type, "x-key": "k" })).toEqual([
      413,
      { error: "The request body is too large" },
    ]);
    expect(await ask("/keyed", "POST", "x", { ...type, "x-key": "k" })).toEqual([
      415,
      { error: "Content-Type must be application/json" },
    ]);
    expect(await ask("/keyed", "POST", "x", { "content-type": "application/json", "x-key": "k" })).toEqual([
      400,
      { error: "The request body is not valid JSON" },
    ]);
  });

  test("include 405, which names the allowed methods, for any method (hazard 36)", async () => {
    await using server = await start();
    for (const method of ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"]) {
      const answer = await fetch(`${server.url}/echo`, { method });
      expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST"]);
    }
    expect((await fetch(`${server.url}/healthz`, { method: "POST" })).headers.get("allow")).toBe("GET, HEAD");
  });

  test.each([
    "text/plain",
    "application/json\t; x",
    "application/json ;x",
    "application/json;",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "application/json; charset=latin1",
  ])("content type %j is refused with 415", async (type) => {
    await using server = await start();
    const answer = await raw(
      server.port,
      `POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: ${type}\r\nContent-Length: 2\r\n\r\n{}`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 415 .*\{"error":"Content-Type must be application\/json"\}$/s);
  });

  test("a missing content type is refused with 415, with and without a body (hazard 4)", async () => {
    await using server = await start();
    for (const body of ["Content-Length: 2\r\n\r\n{}", "Content-Length: 0\r\n\r\n", "\r\n"]) {
      const answer = await raw(server.port, `POST /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${body}`);
      expect(answer).toMatch(/^HTTP\/1.1 415 /);
    }
  });

  test.each([
    "application/json",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "Application/JSON",
  ])("content type %j is accepted", async (type) => {
    await using server = await start();
    expect(await (await postJson(`${server.url}/echo`, '{"a":"é"}', { "content-type": type })).json()).toEqual({
      body: { a: "é" },
    });
  });

  test.each(["gzip", "br", "x"])("content encoding %s is refused with 415 (hazard 5)", async (encoding) => {
    await using server = await start();
    expect((await postJson(`${server.url}/echo`, "{}", { "content-encoding": encoding })).status).toBe(415);
  });

  test("one byte over the limit is 413 with and without Content-Length, a body at the limit is accepted (hazard 6)", async () => {
    await using server = await start();
    const body = (length: number) => JSON.stringify("x".repeat(length - 2));
    expect((await postJson(`${server.url}/echo`, body(65_536))).status).toBe(200);
    expect((await postJson(`${server.url}/echo`, body(65_537))).status).toBe(413);
    const chunk = body(65_537);
    const chunked = `POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.length.toString(16)}\r\n${chunk}\r\n0\r\n\r\n`;
    expect(await raw(server.port, chunked)).toMatch(/^HTTP\/1.1 413 .*\{"error":/s);
  });

  test("an internal error is 500 without detail, and logged", async () => {
    await using server = await start({
      mounts: [
        (app) =>
          void app.post("/broken", () => {
            throw new Error("secret detail");
          }),
      ],
    });
    const answer = await postJson(`${server.url}/broken`, "{}");
    expect([answer.status, await answer.text()]).toEqual([500, '{"error":"Internal server error"}']);
    expect(server.log.join()).toContain("secret detail");
  });
});

describe("routing", () => {
  test("RPC paths go to the fast path and unknown gRPC methods are unimplemented, on both protocols", async () => {
    await using server = await start();
    expect(await (await postJson(`${server.url}/jackfield.v1.ToolExecutor/ExecuteTool`, "{}")).text()).toBe("rpc");
    const session = http2.connect(server.url);
    const answer = await over2(
      session,
      { ":method": "POST", ":path": "/other.v1.X/Y", "content-type": "application/grpc" },
      "",
    );
    expect([answer.headers[":status"], answer.trailers["grpc-status"]]).toEqual([200, "12"]);
    expect((await over2(session, { ":path": "/healthz" })).text).toBe('{"alive":true}');
    const bad = await over2(session, { ":method": "POST", ":path": "/echo", "content-type": "application/json" }, "{");
    expect([bad.headers[":status"], bad.text]).toEqual([400, '{"error":"The request body is not valid JSON"}']);
    // Its end arrives in a frame of its own, with nothing before it.
    const none = await over2(session, { ":method": "POST", ":path": "/echo", "content-type": "application/json" }, "");
    expect([none.headers[":status"], none.text]).toEqual([400, '{"error":"The request body must not be empty"}']);
    session.destroy();
  });

  test("a foreign Host is refused on loopback for routes and RPCs; localhost, loopback and allowed hosts are not (hazard 25)", async () => {
    await using server = await start({ allowedHosts: ["Jack.example"] });
    const ask = async (host: string, path = "/healthz") =>
      (
        await raw(
          server.port,
          `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-Host: localhost\r\nConnection: close\r\n\r\n`,
        )
      ).slice(9, 12);
    for (const good of ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.9.9.9", "[::1]:80", "jack.example:8080"])
      expect(await ask(good)).toBe("200");
    for (const bad of ["evil.example", "127.0.0.1.evil.example", "localhost.evil", "localhost@evil", "128.0.0.1"]) {
      expect(await ask(bad)).toBe("403");
      expect(await ask(bad, "/jackfield.v1.ToolExecutor/ExecuteTool")).toBe("403");
    }
    const session = http2.connect(server.url);
    expect((await over2(session, { ":path": "/healthz", ":authority": "evil.example" })).headers[":status"]).toBe(403);
    session.destroy();
  });

  test("a foreign Host is refused on loopback also if the fast path serves HTTP/2 streams (hazard 25)", async () => {
    const rpc = rpcByRequest((_request, response) => response.end("request"));
    const stream: (typeof rpc)["fastPath"]["stream"] = (opened) => () => {
      opened.respond({ ":status": 200 });
      opened.end("stream");
    };
    await using server = await start({ rpc: { ...rpc, fastPath: { ...rpc.fastPath, stream } } });
    const session = http2.connect(server.url);
    const path = "/jackfield.v1.ToolExecutor/ExecuteTool";
    expect((await over2(session, { ":path": path })).text).toBe("stream");
    for (const headers of [{ ":authority": "evil.example" }, { host: "evil.example" }])
      expect((await over2(session, { ":path": path, ...headers })).headers[":status"]).toBe(403);
    session.destroy();
  });

  test("on other addresses every Host is accepted", async () => {
    await using server = await start({ host: "0.0.0.0" });
    expect(await raw(server.port, "GET /healthz HTTP/1.1\r\nHost: any.example\r\nConnection: close\r\n\r\n")).toMatch(
      /^HTTP\/1.1 200/,
    );
  });
});

describe("operator routes", () => {
  test("answer 401 with a challenge for metrics and tools without a valid key; health is open", async () => {
    await using server = await start(nobody);
    for (const path of ["/metrics", "/tools"]) {
      const answer = await fetch(server.url + path);
      expect([answer.status, answer.headers.get("www-authenticate")]).toEqual([401, "Bearer"]);
      expect(await answer.json()).toHaveProperty("error");
    }
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  });

  test("name the authorization server if tokens are accepted, and the scope that a caller lacks (DOORS 4)", async () => {
    const challenges = createChallenges("https://x/meta");
    const reader: Caller = { name: "crm", tenant: "default", scopes: new Set(["tools:read"]), tools: undefined };
    const authenticate = (header: string | undefined) => (header === "Bearer reader" ? reader : undefined);
    await using server = await start({ authenticate, challenges });
    const challengeOf = async (path: string, headers: Record<string, string> = {}) =>
      (await fetch(server.url + path, { headers })).headers.get("www-authenticate");
    expect(await challengeOf("/tools")).toBe(challenges.missing);
    expect(await challengeOf("/tools", { authorization: "Bearer wrong" })).toBe(challenges.invalid);
    const lacking = await challengeOf("/metrics", { authorization: "Bearer reader" });
    expect(lacking).toBe(challenges.insufficient("metrics:read"));
  });

  test("two Authorization headers authenticate nobody (hazard 21)", async () => {
    const seen: (string | undefined)[] = [];
    await using server = await start({ authenticate: (header) => void seen.push(header) });
    await raw(
      server.port,
      "GET /tools HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n",
    );
    expect(seen).toEqual(["Bearer a, Bearer b"]);
  });

  test("a caller without the scope gets 403 that names it", async () => {
    const caller: Caller = { name: "crm", tenant: "default", scopes: new Set(["tools:read"]), tools: undefined };
    await using server = await start({ authenticate: () => caller });
    const answer = await fetch(`${server.url}/metrics`);
    expect([answer.status, await answer.json()]).toEqual([403, { error: "This caller lacks the scope metrics:read" }]);
    expect(await (await fetch(`${server.url}/tools`)).json()).toEqual({ tools: [] });
    expect((await fetch(`${server.url}/tools?format=xml`)).status).toBe(400);
  });

  test("readyz reports problems with 503 and notes with 200", async () => {
    let faults = ["store: locked"];
    const readiness = createReadiness(
      [{ name: "store", run: () => ({ problems: faults, notes: ["weather is slow"] }) }],
      {
        cacheMs: 0,
      },
    );
    await using server = await start({ readiness });
    const bad = await fetch(`${server.url}/readyz`);
    expect([bad.status, await bad.json()]).toEqual([503, { ready: false, faults, notes: ["weather is slow"] }]);
    faults = [];
    const good = await fetch(`${server.url}/readyz`);
    expect([good.status, await good.json()]).toEqual([200, { ready: true, notes: ["weather is slow"] }]);
  });

  test("readyz, which needs no key, shows no secret that a tool's error quotes", async () => {
    const run = () => ({ problems: ["no answer from db?sig=s3cret"], notes: ["tried s3cret"] });
    const redact = (text: string) => text.replaceAll("s3cret", "[secret]");
    await using server = await start({ readiness: createReadiness([{ name: "store", run }], { redact }) });
    const report = { ready: false, faults: ["no answer from db?sig=[secret]"], notes: ["tried [secret]"] };
    expect(await (await fetch(`${server.url}/readyz`)).json()).toEqual(report);
  });
});
