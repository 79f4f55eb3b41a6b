import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { rejection, scope, startDownstream, startOutbound, startRaw } from "./downstream.ts";

/** Sends a request to a downstream that answers once with these headers and this body. */
async function answerTo(status: number, headers: Record<string, string | string[]>, body: string | Buffer) {
  await using api = await startDownstream((response) => response.writeHead(status, headers).end(body));
  await using outbound = startOutbound({ downstreamBytes: 1000 });
  return await outbound.httpFor(scope({ origins: [api.origin], retry: { retries: 0 } }))(api.origin);
}

describe("the text of an answer", () => {
  test.each([
    ["text/plain; charset=iso-8859-1", "ü"],
    ['text/plain;Charset="ISO-8859-1"', "ü"],
    ["text/plain; charset=nothing-that-is-known", "�"],
    ["text/plain", "�"],
  ])("is decoded by the charset of its type %s, else as UTF-8", async (type, text) => {
    expect((await answerTo(200, { "content-type": type }, Buffer.from([0xfc]))).text()).toBe(text);
  });

  test("without a type is UTF-8", async () => {
    expect((await answerTo(200, {}, "ü")).text()).toBe("ü");
  });

  test("is decompressed whatever the case and spaces in the encoding's name; identity changes nothing", async () => {
    expect((await answerTo(200, { "content-encoding": " GZIP , identity," }, gzipSync("here"))).text()).toBe("here");
    expect((await answerTo(200, { "content-encoding": "zstd" }, zstdCompressSync("here"))).text()).toBe("here");
    expect((await answerTo(200, { "content-encoding": "gzip" }, "")).text()).toBe("");
  });

  test("may have at most two encodings", async () => {
    const three = brotliCompressSync(gzipSync(gzipSync("here")));
    expect((await rejection(answerTo(200, { "content-encoding": "gzip, gzip, br" }, three))).message).toBe(
      "External API answered in an encoding that cannot be read.",
    );
  });
});

describe("an answer without a body", () => {
  test.each([204, 205])("of status %d is undefined as JSON", async (status) => {
    expect((await answerTo(status, {}, "")).json()).toBeUndefined();
  });

  test("of another status is not JSON, and the error describes the content", async () => {
    const answer = await answerTo(200, {}, "");
    expect(() => answer.json()).toThrow(expect.objectContaining({ problem: "content", status: 200 }));
  });

  test("is described by the phrase of its status, if there is one", async () => {
    expect((await rejection(answerTo(404, {}, ""))).message).toBe("External API returned 404: Not Found");
    expect((await rejection(answerTo(599, {}, ""))).message).toBe("External API returned 599: ");
  });
});

describe("an error response with an unreadable body", () => {
  test.each([
    ["is no gzip", Buffer.from("oops")],
    ["is longer than the limit", gzipSync(Buffer.from(Array.from({ length: 5000 }, () => Math.random() * 256)))],
    ["decodes to more than the limit", gzipSync(Buffer.alloc(5000))],
  ])("because it %s is described by its status", async (_why, body) => {
    expect((await rejection(answerTo(500, { "content-encoding": "gzip" }, body))).message).toBe(
      "External API returned 500: Internal Server Error",
    );
  });

  test("keeps its Retry-After", async () => {
    expect(await rejection(answerTo(429, { "retry-after": "7" }, ""))).toMatchObject({ retryAfter: "7", sent: true });
  });
});

describe("the headers of an answer", () => {
  test("that are repeated are joined, and none is inherited", async () => {
    const { headers } = await answerTo(200, { "x-one": ["a", "b"], "x-two": "c" }, "{}");
    expect(headers).toMatchObject({ "x-one": "a, b", "x-two": "c" });
    expect(headers["constructor"]).toBeUndefined();
  });

  test("are not those of an informational response", async () => {
    await using raw = await startRaw((socket) =>
      socket.once("data", () => {
        socket.write("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n");
        socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
      }),
    );
    await using outbound = startOutbound();
    const answer = await outbound.httpFor(scope({ origins: [raw.origin] }))(raw.origin);
    expect([answer.status, answer.headers["link"], answer.text()]).toEqual([200, undefined, "{}"]);
  });
});

test("an answer in several chunks is complete, and one byte over the limit is too much", async () => {
  await using api = await startDownstream((response, request) => {
    response.write("x".repeat(600));
    setImmediate(() => response.end("y".repeat(request.url === "/fits" ? 400 : 401)));
  });
  await using outbound = startOutbound({ downstreamBytes: 1000 });
  const http = outbound.httpFor(scope({ origins: [api.origin] }));
  expect((await http(`${api.origin}/fits`)).text()).toBe("x".repeat(600) + "y".repeat(400));
  expect(await rejection(http(api.origin))).toMatchObject({
    problem: "content",
    message: "External API answered more than 1000 bytes.",
  });
});
