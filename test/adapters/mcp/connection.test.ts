import { expect, test } from "vitest";
import { mcp } from "../../../src/adapters/mcp/index.ts";
import type { PlatformParts } from "../../../src/adapters/platform.ts";
import { localCaller } from "../../../src/auth/authenticator.ts";
import { startAdapter } from "../start-adapter.ts";
import { answered, post } from "./mcp-client.ts";

const settings = {
  ...mcp.complete({ allowedOrigins: ["https://a.example"], instructions: "Ask." }, () => undefined),
  ...mcp.defaults,
  sanitize: "text",
  allowUnauthenticated: true,
  enabled: true,
} as const;

function connect(shutdown = AbortSignal.any([])) {
  return mcp.connect(settings, {
    version: "1",
    log: { error: () => undefined },
    shutdown,
    service: { hosts: ["tools.example"], metadataUrl: "https://x/meta", windowMs: 1, sharedSecret: async () => "s" },
  } as unknown as PlatformParts);
}

const ping = { jsonrpc: "2.0", id: 1, method: "ping" };

test("MCP is served over HTTP, where it checks the Host itself, and over lines", async () => {
  const { adapter, serveLines, hostCheckedPaths } = connect();
  expect(hostCheckedPaths).toEqual(["/mcp"]);
  expect(adapter).toMatchObject({
    name: "mcp",
    identity: { kind: "callers", sanitize: "text", maxOutput: 65_536 },
    routes: [{ kind: "raw", method: "POST", path: "/mcp" }],
  });
  const lines: unknown[] = [];
  const server = serveLines!({
    caller: localCaller,
    host: { clientsFor: () => ({}) } as never,
    maxLineLength: 100,
    write: (line) => void lines.push(JSON.parse(line)),
  });
  server.receive(JSON.stringify(ping));
  await server.end();
  expect(lines).toEqual([{ jsonrpc: "2.0", id: 1, result: {} }]);
});

test("MCP trusts the hosts of the service and the configured origins", () => {
  const { admit } = connect().adapter.routes[0]!;
  const status = (headers: object) => admit?.({ headers } as never)?.status;
  expect(status({ host: "tools.example" })).toBeUndefined();
  expect(status({ host: "other.example" })).toBe(403);
  expect(status({ host: "tools.example", origin: "https://a.example" })).toBeUndefined();
  expect(status({ host: "tools.example", origin: "https://b.example" })).toBe(403);
});

test("failures before a message is read are JSON-RPC errors, with the matching challenge", async () => {
  const { failure } = connect().adapter.routes[0]!;
  const told = (status: number, message: string, credentials?: boolean) => {
    const { body, headers } = failure({ status, message, ...(credentials !== undefined && { credentials }) });
    return [(JSON.parse(body) as { error: object }).error, headers];
  };
  expect(told(500, "")).toEqual([{ code: -32603, message: "Internal error" }, undefined]);
  expect(told(503, "away")).toEqual([{ code: -32603, message: "away" }, undefined]);
  expect(told(499, "no")).toEqual([{ code: -32600, message: "no" }, undefined]);
  expect(told(400, "The request body is not valid JSON")[0]).toMatchObject({ code: -32700 });
  expect(told(400, "The request body is not valid UTF-8")[0]).toMatchObject({ code: -32700 });
  expect(told(400, "The request body must not be empty")[0]).toMatchObject({ code: -32700 });
  expect(told(413, "is not valid JSON")[0]).toMatchObject({ code: -32600 });
  const words = { code: -32600, message: "A valid key is needed: send Authorization: Bearer KEY" };
  const rest = 'resource_metadata="https://x/meta", scope="tools:read tools:execute"';
  expect(told(401, "")).toEqual([words, { "www-authenticate": `Bearer ${rest}` }]);
  expect(told(401, "", false)[1]).toEqual({ "www-authenticate": `Bearer ${rest}` });
  expect(told(401, "", true)[1]).toEqual({ "www-authenticate": `Bearer error="invalid_token", ${rest}` });
});

test("shutdown ends the subscriptions", async () => {
  const shutdown = new AbortController();
  const { adapter } = connect(shutdown.signal);
  await using app = await startAdapter({ adapter });
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const message = { ...ping, method: "subscriptions/listen", params: { _meta: meta } };
  const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "subscriptions/listen" };
  const response = await post(app.url, message, { headers });
  shutdown.abort();
  expect((await answered(response)).body).toMatchObject({ id: 1, result: { resultType: "complete" } });
  const refused = await answered(await post(app.url, message, { headers }));
  expect(refused.status).toBe(503);
});
