import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Outcome } from "../../../gen/jackfield/v1/tool_pb.ts";
import { createHttpAdapter, http as platform } from "../../../src/adapters/http/index.ts";
import type { PlatformParts } from "../../../src/adapters/platform.ts";
import { localCaller } from "../../../src/auth/authenticator.ts";
import type { Scope } from "../../../src/auth/caller.ts";
import { modelError } from "../../../src/errors.ts";
import { startAdapter, type AdapterTestOptions } from "../start-adapter.ts";
import { ToolFailure, type SimulatedTool } from "../simulated-tools.ts";

// The routes of the HTTP adapter.

const settings = { answerWithinMs: 1500, publicUrl: "", corsOrigins: [], sanitize: "text", maxOutput: 256 } as const;

function door(options: Partial<AdapterTestOptions> & { scopes?: Scope[]; corsOrigins?: string[] } = {}) {
  const { scopes = ["tools:read", "tools:execute"], corsOrigins = [], ...rest } = options;
  const adapter = createHttpAdapter({ ...settings, corsOrigins }, { version: "1", metadataUrl: "https://x/meta" });
  return startAdapter({ authenticate: () => ({ ...localCaller, scopes: new Set(scopes) }), ...rest, adapter });
}

async function read(response: Response): Promise<[number, unknown]> {
  return [response.status, await response.json()];
}

describe("a caller that lacks a scope", () => {
  test.each<[string, "GET" | "POST", Scope]>([
    ["/tools/echo", "POST", "tools:execute"],
    ["/calls/1", "GET", "tools:execute"],
    ["/openapi.json", "GET", "tools:read"],
  ])("is refused at %s", async (path, method, scope) => {
    const others = (["tools:read", "tools:execute"] as const).filter((one) => one !== scope);
    await using app = await door({ scopes: others, tools: { echo: (args) => args } });
    const response = await fetch(app.url + path, {
      method,
      ...(method === "POST" && { body: "{}", headers: { "content-type": "application/json" } }),
    });
    expect(response.headers.get("www-authenticate")).toBe(
      `Bearer error="insufficient_scope", scope="${scope}", resource_metadata="https://x/meta"`,
    );
    expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
    expect(await read(response)).toEqual([403, { error: `This caller lacks the scope ${scope}` }]);
    expect([app.seen, app.lookedUp]).toEqual([[], []]);
  });
});

describe("POST /tools/{name}", () => {
  const denied =
    (message: string): SimulatedTool =>
    () => {
      throw new ToolFailure(Outcome.DENIED, message);
    };

  test("waits as configured, or as the client prefers", async () => {
    await using app = await door({ tools: { echo: (args) => args } });
    expect((await app.post("/tools/echo", {})).headers.get("preference-applied")).toBeNull();
    await app.post("/tools/echo", {}, { prefer: "wait=7" });
    expect(app.seen.map(({ answerWithinMs }) => answerWithinMs)).toEqual([1500, 7000]);
    expect(app.seen[0]?.context).toMatchObject({ conversationId: "", sessionId: "", source: "" });
  });

  test("hides tools that the caller may not use, and reports any other denial", async () => {
    await using app = await door({
      tools: { hidden: denied(modelError("denied", "hidden")), closed: denied("Not at night.") },
    });
    expect(await read(await app.post("/tools/hidden", {}, { "idempotency-key": "k" }))).toEqual([
      200,
      {
        callId: "k",
        outcome: "UNKNOWN_TOOL",
        output: "Unknown tool: hidden",
        value: null,
        replayed: false,
        truncated: false,
      },
    ]);
    expect(await read(await app.post("/tools/closed", {}))).toMatchObject([
      200,
      { outcome: "DENIED", output: "Not at night." },
    ]);
  });

  test("refuses invalid keys and conversation ids, and bodies that are no arguments", async () => {
    await using app = await door({ tools: { echo: (args) => args } });
    const long = "x".repeat(257);
    expect(await read(await app.post("/tools/echo", {}, { "idempotency-key": long }))).toEqual([
      400,
      { error: "Invalid idempotency key: expected 1 to 256 characters" },
    ]);
    for (const conversation of [long, 7]) {
      expect(await read(await app.post("/tools/echo", { jackfieldConversationId: conversation }))).toEqual([
        400,
        { error: "Invalid conversation id: expected 1 to 256 characters" },
      ]);
    }
    expect(app.seen).toEqual([]);
    await app.post("/tools/echo", {}, { "jackfield-conversation-id": "x".repeat(256) });
    await app.post("/tools/echo", { jackfieldConversationId: "" });
    expect(app.seen.map(({ context }) => context?.conversationId.length)).toEqual([256, 0]);
    for (const body of ["null", "7", "[]"]) {
      expect(await read(await app.post("/tools/echo", body))).toMatchObject([200, { outcome: "INVALID_ARGUMENTS" }]);
    }
  });

  test("hides the details of internal errors", async () => {
    const boom = () => Promise.reject(new Error("secret"));
    await using app = await door({ tools: { boom } });
    expect(await read(await app.post("/tools/boom", {}))).toEqual([500, { error: "Internal server error" }]);
  });
});

describe("GET /calls/{callId}", () => {
  test("answers with the state of a call", async () => {
    const release = Promise.withResolvers<object>();
    await using app = await door({ tools: { slow: () => release.promise, echo: (args) => args } });
    const find = async (id: string, headers: Record<string, string> = {}) => {
      const response = await fetch(`${app.url}/calls/${id}`, { headers });
      return [...(await read(response)), response.headers.get("preference-applied")];
    };
    const unknown = [404, { error: "Unknown call" }, null];
    expect(await find("k-1")).toEqual(unknown);
    expect(await find("k-1", { prefer: "wait=1" })).toEqual(unknown);
    expect(await find("x".repeat(257))).toEqual(unknown);
    expect(app.lookedUp).toHaveLength(2);
    await app.post("/tools/echo", { a: 1 }, { "idempotency-key": "k-1" });
    const answer = {
      callId: "k-1",
      outcome: "OK",
      output: '{"a":1}',
      value: { a: 1 },
      replayed: false,
      truncated: false,
    };
    expect(await find("k-1")).toEqual([200, answer, null]);
    expect(await find("k-1", { prefer: "wait=3" })).toEqual([200, answer, "wait=3"]);
    app.results.set("k-2", undefined);
    expect(await find("k-2")).toEqual([
      200,
      {
        callId: "k-2",
        outcome: "PENDING",
        output: "The request is still being processed. Do not repeat it.",
        value: null,
        replayed: false,
        truncated: false,
      },
      null,
    ]);
    app.failLookUps(new ConnectError("secret", Code.Internal));
    expect(await find("k-1")).toEqual([500, { error: "Internal server error" }, null]);
  });
});

describe("browsers", () => {
  test("may send every header of the HTTP adapter from the configured origins", async () => {
    await using app = await door({ corsOrigins: ["https://a.example"] });
    const ask = (path: string) =>
      fetch(app.url + path, { method: "OPTIONS", headers: { origin: "https://a.example" } });
    for (const path of ["/tools/echo", "/calls/1", "/openapi.json"]) {
      expect((await ask(path)).headers.get("access-control-allow-headers")).toBe(
        "Authorization, X-Api-Key, Content-Type, Idempotency-Key, Jackfield-Conversation-Id, Prefer",
      );
    }
    await using closed = await door();
    expect((await fetch(`${closed.url}/tools/echo`, { method: "OPTIONS" })).status).toBe(405);
  });
});

test("the HTTP adapter has its settings and the metadata of the service", async () => {
  const { adapter } = platform.connect({ ...settings, allowUnauthenticated: true, enabled: true }, {
    version: "1",
    service: { metadataUrl: "https://x/meta" },
  } as unknown as PlatformParts);
  expect(adapter).toMatchObject({
    name: "http",
    identity: { kind: "callers", sanitize: "text", maxOutput: 256 },
    routes: [{ path: "/tools/:name", bodyIsArguments: true }, { path: "/calls/:callId" }, { path: "/openapi.json" }],
  });
  const { failure } = adapter.routes[0]!;
  const challenge = (credentials: boolean) =>
    failure({ status: 401, message: "", credentials }).headers?.["www-authenticate"];
  expect(challenge(false)).toBe('Bearer resource_metadata="https://x/meta", scope="tools:read tools:execute"');
  expect(challenge(true)).toContain('error="invalid_token"');
});
