import { describe, expect, test, vi } from "vitest";
import { eraOf } from "../../../src/adapters/mcp/era.ts";
import { idFromBody, readMessage } from "../../../src/adapters/mcp/message.ts";
import { reserved } from "../../../src/adapters/mcp/protocol.ts";
import { createRequestStates } from "../../../src/adapters/mcp/request-state.ts";
import { createSharedTimer } from "../../../src/adapters/mcp/shared-timer.ts";
import { createSiteCheck } from "../../../src/adapters/mcp/trusted-sites.ts";
import type { Caller } from "../../../src/auth/caller.ts";

describe("a message", () => {
  const base = { jsonrpc: "2.0", method: "ping" };

  test.each([
    [
      { ...base, id: 1, params: { a: 1, _meta: { b: 2 } } },
      { id: 1, method: "ping", params: { a: 1, _meta: { b: 2 } }, meta: { b: 2 } },
    ],
    [
      { ...base, id: "x" },
      { id: "x", method: "ping", params: {}, meta: {} },
    ],
    [
      { ...base, id: "", params: { _meta: 7 } },
      { id: "", method: "ping", params: { _meta: 7 }, meta: {} },
    ],
    [base, { id: undefined, method: "ping", params: {} }],
    [
      { ...base, params: [1] },
      { id: undefined, method: "ping", params: {} },
    ],
    [{ jsonrpc: "2.0", id: 1, result: {} }, undefined],
    [{ jsonrpc: "2.0", id: 1, error: {} }, undefined],
  ])("%j is accepted", (body, message) => {
    expect(readMessage(body)).toEqual(message);
  });

  test.each([
    [[base], -32600, "Batches are not supported: send one message a request"],
    [null, -32600, "Expected a JSON-RPC 2.0 message"],
    [{ ...base, jsonrpc: 2 }, -32600, "Expected a JSON-RPC 2.0 message"],
    [{ jsonrpc: "2.0", id: 1 }, -32600, "Expected a JSON-RPC 2.0 request with a method"],
    [{ jsonrpc: "2.0", method: 1, result: {} }, -32600, "Expected a JSON-RPC 2.0 request with a method"],
    [{ ...base, id: null }, -32600, "The id of a request must be a string or a number"],
    [{ ...base, id: Infinity }, -32600, "The id of a request must be a string or a number"],
    [{ ...base, id: 1, params: [1] }, -32602, "params must be an object"],
  ])("%j is refused", (body, code, text) => {
    expect(() => readMessage(body)).toThrow(expect.objectContaining({ code, status: 400, message: text }));
  });

  test("is answered with its id, if it has one, even if it is invalid", () => {
    expect([{ id: 1 }, { id: "a" }, { id: {} }, { id: NaN }, {}, [1], null].map(idFromBody)).toEqual([
      1,
      "a",
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe("the era of a request", () => {
  const era = (claimed: unknown, header?: string, method = "ping") =>
    eraOf(
      { id: 1, method, params: {}, meta: claimed === undefined ? {} : { [reserved.protocolVersion]: claimed } },
      header === undefined ? undefined : { "mcp-protocol-version": header },
    );

  test("is modern if its message says so, or else its header", () => {
    expect(era("2026-07-28")).toBe("modern");
    expect(era("2026-07-28", "2026-07-28")).toBe("modern");
    expect(era(undefined, " 2026-07-28 ")).toBe("modern");
    expect(era(undefined)).toBe("older");
    expect(era(undefined, "2025-06-18")).toBe("older");
    expect(era(undefined, "2026-07-28", "initialize")).toBe("older");
  });

  test("is unknown for an unsupported version, unless message and header differ, which is checked later", () => {
    const unsupported = expect.objectContaining({
      code: -32022,
      status: 400,
      message: "Unsupported protocol version: 1.0",
      data: { supported: expect.arrayContaining(["2026-07-28", "2024-11-05"]) as string[], requested: "1.0" },
    }) as Error;
    expect(() => era("1.0")).toThrow(unsupported);
    expect(() => era("1.0", "1.0")).toThrow(unsupported);
    expect(() => era(undefined, "1.0")).toThrow(unsupported);
    expect([era("1.0", "2.0"), era(7), era(7, "2.0")]).toEqual(["modern", "modern", "modern"]);
  });
});

describe("the request state", () => {
  const caller = { tenant: "t", name: "crm" } as Caller;
  const states = createRequestStates(async () => "secret");
  const read = (text: unknown, who = caller, tool = "book") => states.read(text, who, tool);

  test("is valid on every replica with the same secret, only for the same caller and tool", async () => {
    const text = await states.write({ callId: "c-1", rounds: 3 }, caller, "book");
    expect(await createRequestStates(async () => "secret").read(text, caller, "book")).toEqual({
      callId: "c-1",
      rounds: 3,
    });
    expect(await createRequestStates(async () => "other").read(text, caller, "book")).toBeUndefined();
    expect(await read(text, { ...caller, tenant: "u" })).toBeUndefined();
    expect(await read(text, { ...caller, name: "erp" })).toBeUndefined();
    expect(await read(text, caller, "cancel")).toBeUndefined();
  });

  test("is refused if any part is missing, changed or added", async () => {
    const text = await states.write({ callId: "c-1", rounds: 3 }, caller, "book");
    const [mark, payload, signed] = text.split(".") as [string, string, string];
    const last = signed.endsWith("A") ? "B" : "A";
    for (const wrong of [
      7,
      "",
      mark,
      `${mark}.${payload}`,
      `jf2.${payload}.${signed}`,
      `${mark}.${payload}.${signed}.x`,
      `${mark}.${payload}x.${signed}`,
      `${mark}.${payload}.${signed}x`,
      `${mark}.${payload}.${signed.slice(0, -1)}${last}`,
    ]) {
      expect(await read(wrong), String(wrong)).toBeUndefined();
    }
  });

  test("is refused if the signed text is not a state", async () => {
    for (const [rounds, callId] of [
      [1.5, "c"],
      [1, ""],
      [1, "x".repeat(300)],
    ] as const) {
      expect(await read(await states.write({ callId, rounds }, caller, "book"))).toBeUndefined();
    }
  });
});

describe("the check of Host and Origin", () => {
  const check = createSiteCheck({ hosts: ["Tools.Example.com", "b.example:8080"], origins: ["https://App.example"] });

  test.each([
    [{}],
    [{ host: "tools.example.com" }],
    [{ host: "TOOLS.example.com.:443" }],
    [{ host: "b.example:8080" }],
    [{ host: "127.0.0.1:3000" }],
    [{ host: "[::1]:80" }],
    [{ ":authority": "localhost" }],
    [{ host: "localhost", origin: "https://APP.example" }],
    [{ host: "localhost", origin: "http://localhost:5173" }],
    [{ host: "localhost", origin: "https://tools.example.com" }],
  ])("accepts %j", (headers) => {
    expect(check(headers)).toBeUndefined();
  });

  test.each([
    [{ host: "evil.example" }, 'The Host "evil.example" is not allowed'],
    [{ host: "b.example" }, 'The Host "b.example" is not allowed'],
    [{ host: "" }, 'The Host "" is not allowed'],
    [{ host: "localhost:port" }, "is not allowed"],
    [{ host: "localhost@evil.example" }, "is not allowed"],
    [{ ":authority": "evil.example" }, "is not allowed"],
    [{ host: "x".repeat(300) }, `The Host "${"x".repeat(200)}" is not allowed: add it to JACKFIELD_ALLOWED_HOSTS`],
    [{ host: "localhost", origin: "null" }, 'The Origin "null" is not allowed: add it to adapters.mcp.allowedOrigins'],
    [{ host: "localhost", origin: "https://evil.example" }, 'The Origin "https://evil.example" is not allowed'],
    [{ host: "localhost", origin: "file://" }, "The Origin"],
  ])("refuses %j", (headers, why) => {
    expect(check(headers)).toContain(why);
    // The previous result has no influence.
    expect(check({ host: "localhost" })).toBeUndefined();
    expect(check(headers)).toContain(why);
  });
});

describe("a shared timer", () => {
  test("calls each callback when it is due, in order, and no cancelled one", () => {
    vi.useFakeTimers();
    try {
      const timer = createSharedTimer(100);
      const due: string[] = [];
      const wait = (name: string) => timer.wait(() => due.push(`${name} at ${performance.now() - start}`));
      const start = performance.now();
      wait("a");
      const cancelled = wait("b");
      vi.advanceTimersByTime(40);
      wait("c");
      expect(vi.getTimerCount()).toBe(1);
      timer.cancel(cancelled);
      vi.advanceTimersByTime(60);
      expect(due).toEqual(["a at 100"]);
      vi.advanceTimersByTime(40);
      expect(due).toEqual(["a at 100", "c at 140"]);
      expect(vi.getTimerCount()).toBe(0);
      wait("d");
      vi.advanceTimersByTime(100);
      expect(due.at(-1)).toBe("d at 240");
    } finally {
      vi.useRealTimers();
    }
  });
});
