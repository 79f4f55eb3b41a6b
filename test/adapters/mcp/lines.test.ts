import { describe, expect, test } from "vitest";
import type { McpDoor } from "../../../src/adapters/mcp/door.ts";
import type { McpAnswer, Peer } from "../../../src/adapters/mcp/peer.ts";
import { createLineServer } from "../../../src/adapters/mcp/stdio.ts";
import { localCaller } from "../../../src/auth/authenticator.ts";

/** A server of the line protocol without a process, whose answers the test controls. */
function start() {
  const written: unknown[] = [];
  const requests: { body: unknown; peer: Peer; answer: (answer: McpAnswer | undefined) => void }[] = [];
  let closed = 0;
  const door: McpDoor = {
    handle(body, peer) {
      const { promise, resolve } = Promise.withResolvers<McpAnswer | undefined>();
      requests.push({ body, peer, answer: resolve });
      return promise;
    },
    close: () => void (closed += 1),
  };
  const clients = {} as never;
  const server = createLineServer({
    door,
    caller: localCaller,
    host: { clientsFor: () => clients },
    maxLineLength: 100,
    write: (line) => void written.push(JSON.parse(line)),
  });
  const send = (message: object) => server.receive(JSON.stringify({ jsonrpc: "2.0", ...message }));
  return { server, written, requests, send, clients, closes: () => closed };
}

const done = (id: unknown): McpAnswer => ({ status: 200, text: JSON.stringify({ id, result: {} }) });

describe("line-based messages", () => {
  test("are served concurrently, as the same caller, and answered as they end", async () => {
    const { server, written, requests, send, clients } = start();
    send({ id: 1, method: "ping" });
    send({ id: "2", method: "ping" });
    expect(requests.map(({ body }) => body)).toEqual([
      { jsonrpc: "2.0", id: 1, method: "ping" },
      { jsonrpc: "2.0", id: "2", method: "ping" },
    ]);
    expect(requests[0]!.peer).toMatchObject({ caller: localCaller, headers: undefined, values: undefined, about: {} });
    expect(requests[0]!.peer.clients).toBe(clients);
    requests[1]!.answer(done("2"));
    requests[0]!.answer(done(1));
    await server.end();
    expect(written).toEqual([
      { id: "2", result: {} },
      { id: 1, result: {} },
    ]);
  });

  test("are ignored if empty, and refused without an id if they are too long or not JSON", async () => {
    const { server, written, requests } = start();
    for (const line of ["", "  \t", "{", `"${"x".repeat(98)}"`, `"${"x".repeat(99)}"`]) server.receive(line);
    expect(written).toEqual([
      { jsonrpc: "2.0", error: { code: -32700, message: "The message is not valid JSON" } },
      { jsonrpc: "2.0", error: { code: -32600, message: "The message is too long" } },
    ]);
    // The maximum length of a line: the protocol implementation must answer it.
    expect(requests.map(({ body }) => body)).toEqual(["x".repeat(98)]);
    requests[0]!.answer(undefined);
    await server.end();
    expect(written).toHaveLength(2);
  });

  test("include notifications before the answer", async () => {
    const { server, written, requests, send } = start();
    send({ id: 1, method: "tools/call" });
    const { events } = requests[0]!.peer;
    events?.send('{"method":"a"}');
    expect(events?.offer('{"method":"b"}')).toBe(true);
    requests[0]!.answer(done(1));
    await server.end();
    expect(written).toEqual([{ method: "a" }, { method: "b" }, { id: 1, result: {} }]);
  });
});

describe("a cancelled request", () => {
  test("is aborted and not answered, while others are, including the next one with the same id", async () => {
    const { server, written, requests, send } = start();
    for (const id of [1, 2]) send({ id, method: "tools/call" });
    send({ method: "notifications/cancelled", params: { requestId: 1 } });
    requests[2]!.answer(undefined);
    expect(requests.slice(0, 2).map(({ peer }) => peer.signal.aborted)).toEqual([true, false]);
    requests[0]!.answer(done(1));
    requests[1]!.answer(done(2));
    await expect.poll(() => written).toEqual([{ id: 2, result: {} }]);
    send({ id: 1, method: "ping" });
    requests[3]!.answer(done(1));
    await server.end();
    expect(written).toEqual([
      { id: 2, result: {} },
      { id: 1, result: {} },
    ]);
  });

  test("does not affect a newer request with the same id when it ends", async () => {
    const { server, requests, send } = start();
    for (let n = 0; n < 2; n += 1) send({ id: 1, method: "tools/call" });
    requests[0]!.answer(done(1));
    await expect.poll(() => requests.length).toBe(2);
    await new Promise(setImmediate);
    send({ method: "notifications/cancelled", params: { requestId: 1 } });
    expect(requests[1]!.peer.signal.aborted).toBe(true);
    for (const { answer } of requests) answer(undefined);
    await server.end();
  });

  test.each([
    { id: 7, method: "notifications/cancelled", params: { requestId: 1 } },
    { method: "notifications/other", params: { requestId: 1 } },
    { method: "notifications/cancelled", params: { requestId: 2 } },
    { method: "notifications/cancelled" },
    { method: 5 },
  ])("ignores a cancellation by %o", async (message) => {
    const { server, requests, send } = start();
    send({ id: 1, method: "tools/call" });
    send(message);
    expect(requests[0]!.peer.signal.aborted).toBe(false);
    for (const { answer } of requests) answer(undefined);
    await server.end();
  });
});

test("the end of input closes the server and waits for running calls", async () => {
  const { server, requests, send, closes } = start();
  send({ id: 1, method: "tools/call" });
  let ended = false;
  const end = server.end().then(() => (ended = true));
  await new Promise(setImmediate);
  expect([ended, closes()]).toEqual([false, 1]);
  requests[0]!.answer(done(1));
  await end;
});
