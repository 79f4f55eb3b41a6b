import { request as httpRequest } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ServiceUnderTest } from "../../support/service.ts";
import { answered, modern, modernMessage, modernOptions, older, post } from "./mcp-client.ts";
import { startMcpService } from "./mcp-service.ts";

// Checks that precede every method.

let service: ServiceUnderTest;
let url: string;

beforeAll(async () => {
  service = await startMcpService();
  ({ url } = service);
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

const key = "crm-key";
const ping = { jsonrpc: "2.0", id: 1, method: "ping" };

/** Sends a request with any Host, which fetch does not allow. */
function withHost(host: string, headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(`${url}/mcp`, { method: "POST", headers: { host, ...headers } }, (response) => {
      let text = "";
      response.on("data", (chunk: Buffer) => (text += chunk.toString()));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    sent.on("error", reject);
    sent.end(JSON.stringify(ping));
  });
}

describe("before the method is called", () => {
  test("refuses a foreign Host or Origin before checking the key, and names the value and the setting (hazard 25)", async () => {
    const foreign = await withHost("evil.example.com");
    expect(foreign.status).toBe(403);
    expect(JSON.parse(foreign.text)).toEqual({
      jsonrpc: "2.0",
      error: { code: -32600, message: expect.stringMatching(/"evil\.example\.com".*JACKFIELD_ALLOWED_HOSTS/) },
    });
    for (const origin of ["https://evil.example.com", "null", "http://127.0.0.1.evil.com", "file://"]) {
      const { status, body } = await answered(await post(url, ping, { key, headers: { origin } }));
      expect([origin, status, body.error?.code]).toEqual([origin, 403, -32600]);
      expect(body.error?.message).toContain("adapters.mcp.allowedOrigins");
    }
    for (const origin of ["http://localhost:3000", "https://app.example.com", "https://tools.example.com"]) {
      expect([origin, (await post(url, ping, { key, headers: { origin } })).status]).toEqual([origin, 200]);
    }
    const json = { "content-type": "application/json", authorization: `Bearer ${key}` };
    for (const host of ["tools.example.com", "localhost:1", "[::1]:80"])
      expect([host, (await withHost(host, json)).status]).toEqual([host, 200]);
  });

  test("answers 401 with a plain challenge for a missing or wrong key, and 403 that names a missing scope", async () => {
    for (const sent of [{}, { key: "wrong" }, { headers: { "x-api-key": "wrong" } }]) {
      const { status, headers, body } = await answered(await post(url, ping, sent));
      expect([status, headers.get("www-authenticate"), body.id]).toEqual([401, "Bearer", undefined]);
      expect(body.error?.message).toBe("A valid key is needed: send Authorization: Bearer KEY");
      expect(body.error?.code).toBe(-32600);
    }
    expect((await post(url, ping, { headers: { "x-api-key": key } })).status).toBe(200);
    const listing = await older(url, "tools/list", {}, { key: "run-key" });
    expect([listing.status, listing.body.error?.message]).toEqual([403, "This caller lacks the scope tools:read"]);
    const call = await modern(url, "tools/call", { name: "echo" }, { key: "read-key" });
    expect([call.status, call.body.error?.message]).toEqual([403, "This caller lacks the scope tools:execute"]);
    expect((await older(url, "tools/call", { name: "echo" }, { key: "run-key" })).body.result).toBeDefined();
  });

  test("refuses invalid messages in JSON-RPC, in the order key, method, length, type, JSON, shape, version", async () => {
    const headers = { authorization: `Bearer ${key}` };
    for (const method of ["GET", "DELETE", "PUT"]) {
      const refused = await fetch(`${url}/mcp`, { method, headers });
      expect([refused.status, refused.headers.get("allow")]).toEqual([405, "POST"]);
      expect(((await refused.json()) as { error: { code: number } }).error.code).toBe(-32600);
      expect((await fetch(`${url}/mcp`, { method })).status).toBe(401);
    }
    const long = JSON.stringify({ ...ping, params: { text: "x".repeat(1_100_000) } });
    const text = { "content-type": "text/plain" };
    const refusals: [unknown, object, number, number][] = [
      [long, {}, 413, -32600],
      [long, { headers: text }, 413, -32600],
      ["{", { headers: text }, 415, -32600],
      ["{", {}, 400, -32700],
      ["", {}, 400, -32700],
      ['"\xff', {}, 400, -32700],
      [[ping], {}, 400, -32600],
      ["7", {}, 400, -32600],
      [{ ...ping, jsonrpc: "1.0" }, {}, 400, -32600],
      [{ jsonrpc: "2.0", id: 1 }, {}, 400, -32600],
      [{ ...ping, id: null }, {}, 400, -32600],
      [{ ...ping, id: {} }, {}, 400, -32600],
      [ping, { headers: { "mcp-protocol-version": "1999-01-01" } }, 400, -32022],
    ];
    for (const [body, options, status, code] of refusals) {
      const refused = await answered(await post(url, body, { key, ...options }));
      expect([body, refused.status, refused.body.error?.code]).toEqual([body, status, code]);
    }
    const unknown = await answered(await post(url, ping, { key, headers: { "mcp-protocol-version": "1999-01-01" } }));
    expect(unknown.body).toMatchObject({
      id: 1,
      error: { data: { supported: expect.arrayContaining(["2026-07-28", "2024-11-05"]), requested: "1999-01-01" } },
    });
  });

  test("accepts notifications and responses without an answer", async () => {
    for (const body of [
      { jsonrpc: "2.0", method: "notifications/initialized" },
      { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 4 } },
      { jsonrpc: "2.0", id: 4, result: {} },
      { jsonrpc: "2.0", id: 4, error: { code: 1, message: "no" } },
    ]) {
      const response = await post(url, body, { key });
      expect([response.status, await response.text()]).toEqual([202, ""]);
    }
  });

  test("requires version and capabilities in a modern request, and headers that match its body", async () => {
    const message = modernMessage("tools/call", { name: "echo" });
    const good = modernOptions("tools/call", { name: "echo" }, { key });
    const send = async (body: object, headers: Record<string, string>) => {
      const sent = await answered(await post(url, body, { key, headers: { ...good.headers, ...headers } }));
      return [sent.status, sent.body.error?.code];
    };
    expect(await send(message, {})).toEqual([200, undefined]);
    expect(await send(message, { "mcp-name": `=?base64?${btoa("echo")}?=` })).toEqual([200, undefined]);
    const wrongHeaders: Record<string, string>[] = [
      { "mcp-name": "nap" },
      { "mcp-name": "" },
      { "mcp-method": "tools/list" },
      { "mcp-protocol-version": "2025-11-25" },
      { "mcp-protocol-version": "v9" },
      { "mcp-name": "=?base64?!!?=" },
    ];
    for (const wrong of wrongHeaders) {
      expect([wrong, ...(await send(message, wrong))]).toEqual([wrong, 400, -32020]);
    }
    const { _meta: meta } = message.params;
    const bare = {
      ...message,
      params: { name: "echo", _meta: { ...meta, "io.modelcontextprotocol/clientCapabilities": 1 } },
    };
    expect(await send(bare, {})).toEqual([400, -32602]);
    const unclaimed = { ...message, params: { name: "echo" } };
    expect(await send(unclaimed, {})).toEqual([400, -32602]);
    expect(
      (await older(url, "tools/list", {}, { key, headers: { "mcp-protocol-version": "2025-06-18" } })).status,
    ).toBe(200);
  });
});
