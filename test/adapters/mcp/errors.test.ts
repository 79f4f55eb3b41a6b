import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { createMcpDoor } from "../../../src/adapters/mcp/door.ts";
import type { Peer } from "../../../src/adapters/mcp/peer.ts";
import { codes, McpError, reserved } from "../../../src/adapters/mcp/protocol.ts";
import type { Caller } from "../../../src/auth/caller.ts";

const caller: Caller = { name: "crm", tenant: "default", scopes: new Set(["admin"]), tools: undefined };

describe("the error that a client reads", () => {
  function open(fails: unknown, { aborted = false, scopes = ["tools:read", "tools:execute"] } = {}) {
    const logged: unknown[] = [];
    const door = createMcpDoor({
      version: "1",
      instructions: "",
      answerWithinMs: 1000,
      taskAfterMs: 100,
      pageSize: 10,
      listTtlMs: 5,
      maxOutput: 1000,
      taskTtlMs: 1000,
      stateSecret: async () => "secret",
      log: { error: (...line: unknown[]) => void logged.push(line) },
      missingScope: (scope) => new McpError(codes.invalidRequest, `no ${scope}`, { status: 403 }),
    });
    const signal = aborted ? AbortSignal.abort() : AbortSignal.any([]);
    const fail = async () => {
      throw fails;
    };
    const peer = {
      caller: { ...caller, scopes: new Set(scopes) },
      clients: { executor: { listTools: fail, executeTool: fail } },
      headers: undefined,
      values: undefined,
      signal,
      about: { call: "k-1" },
      events: undefined,
    } as unknown as Peer;
    const handle = (method: string, params: object = {}) =>
      door.handle({ jsonrpc: "2.0", id: 1, method, params }, peer);
    return { handle, logged };
  }

  const list = async (fails: unknown, options = {}) => {
    const { handle, logged } = open(fails, options);
    const { status, text, headers } = (await handle("tools/list"))!;
    const { error } = JSON.parse(text) as { error: { code: number; message: string } };
    return [status, error.code, error.message, headers?.["retry-after"], logged.length];
  };

  test.each<[string, Error, unknown[]]>([
    ["an argument", new ConnectError("no", Code.InvalidArgument), [200, -32602, "no", undefined, 0]],
    ["the store", new ConnectError("away", Code.Unavailable), [503, -32603, "away", "1", 0]],
    ["a deadline", new ConnectError("late", Code.DeadlineExceeded), [503, -32603, "late", "1", 0]],
    ["something full", new ConnectError("full", Code.ResourceExhausted), [503, -32603, "full", "1", 0]],
    [
      "the caller's rate",
      new ConnectError("slow", Code.ResourceExhausted, { "retry-after": "7" }),
      [429, -32603, "slow", "7", 0],
    ],
    ["our own fault", new ConnectError("secret", Code.Internal), [500, -32603, "Internal error", undefined, 1]],
    ["any other fault", new Error("secret"), [500, -32603, "Internal error", undefined, 1]],
  ])("for %s", async (_what, fails, read) => {
    expect(await list(fails)).toEqual(read);
  });

  test("says that the request was cancelled, or which scope is missing", async () => {
    expect(await list(new Error("x"), { aborted: true })).toEqual([
      200,
      -32603,
      "The request was cancelled",
      undefined,
      0,
    ]);
    expect((await list(new Error("x"), { scopes: ["tools:execute"] })).slice(0, 3)).toEqual([
      403,
      -32600,
      "no tools:read",
    ]);
  });

  test("does not name the call, which only the log does", async () => {
    const { handle, logged } = open(new Error("secret"));
    expect((await handle("tools/list"))?.text).not.toContain("k-1");
    expect(logged).toEqual([[{ err: expect.any(Error) as Error, call: "k-1" }, "an MCP request failed"]]);
  });

  test("says which extension its request requires", async () => {
    const { handle } = open(new Error("x"));
    const _meta = {
      [reserved.protocolVersion]: "2026-07-28",
      [reserved.clientCapabilities]: {},
    };
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      const answer = await handle(method, { taskId: "t", _meta });
      expect(answer?.status).toBe(400);
      expect(JSON.parse(answer?.text ?? "")).toEqual({
        jsonrpc: "2.0",
        id: 1,
        error: {
          code: -32021,
          message: `${method} needs the extension io.modelcontextprotocol/tasks`,
          data: { requiredCapabilities: { extensions: { "io.modelcontextprotocol/tasks": {} } } },
        },
      });
    }
  });

  test("has no instructions if there are none", async () => {
    const { handle } = open(new Error("x"));
    const discovery = JSON.parse((await handle("initialize"))?.text ?? "") as { result: object };
    expect(discovery.result).toMatchObject({ protocolVersion: "2025-11-25", serverInfo: { name: "jackfield" } });
    expect(discovery.result).not.toHaveProperty("instructions");
  });
});
