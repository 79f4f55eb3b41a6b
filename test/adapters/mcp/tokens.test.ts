import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createJackfieldClient } from "../../../src/client.ts";
import { startReceiver, type Receiver } from "../../support/receiver.ts";
import { startService, testTool, type ServiceUnderTest } from "../../support/service.ts";
import { modern, older, post } from "./mcp-client.ts";

// An issuer's tokens at the adapters and by RPC, besides keys.

const resource = "https://tools.example.com/mcp";
const metadataUrl = "https://tools.example.com/.well-known/oauth-protected-resource/mcp";
let issuer: Receiver;
let service: ServiceUnderTest;
let sign: (subject: string, scopes: string) => Promise<string>;

beforeAll(async () => {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const keys = [{ ...(await exportJWK(publicKey)), kid: "k", alg: "ES256" }];
  issuer = await startReceiver(({ path }) => (path === "/keys" ? { body: { keys } } : { status: 404 }));
  sign = (subject, scopes) =>
    new SignJWT({ scp: scopes })
      .setProtectedHeader({ alg: "ES256", kid: "k" })
      .setIssuer(issuer.url)
      .setAudience("3f1c")
      .setSubject(subject)
      .setExpirationTime("5m")
      .sign(privateKey);
  service = await startService({
    env: { JACKFIELD_API_KEYS: "crm:crm-key" },
    yaml: {
      adapters: { mcp: { taskAfterMs: 20 } },
      oauth: [
        {
          name: "staff",
          issuer: issuer.url,
          jwksUrl: `${issuer.url}/keys`,
          resource,
          audiences: ["3f1c"],
          scopes: { "Tools.Run": ["tools:read", "tools:execute"], "Tools.List": ["tools:read"] },
          tools: ["echo", "nap"],
        },
      ],
    },
    plugins: [{ use: testTool("echo") }, { use: testTool("nap") }, { use: testTool("odd") }],
  });
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
  await issuer[Symbol.asyncDispose]();
});

test("a token's subject is a separate caller, over MCP, HTTP and RPC; keys work as before", async () => {
  const { url } = service;
  const token = await sign("ann", "Tools.Run");
  const call = await older(url, "tools/call", { name: "echo" }, { key: token });
  expect(call.body.result).toMatchObject({ structuredContent: { source: "staff:ann" } });
  const http = await fetch(`${url}/tools/echo`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    body: "{}",
  });
  expect(await http.json()).toMatchObject({ value: { source: "staff:ann" } });
  const { executor } = createJackfieldClient({ baseUrl: url, apiKey: token });
  const { result } = await executor.executeTool({ call: { id: "1", name: "echo" } });
  expect(result?.output).toContain("staff:ann");
  const names: string[] = [];
  for await (const { event } of executor.executeTools({ calls: [{ id: "2", name: "echo" }] }))
    if (event.case === "result") names.push(event.value.output);
  expect(names.join()).toContain("staff:ann");
  const listed = await modern(url, "tools/list", {}, { key: token });
  expect(listed.body.result).toMatchObject({ tools: [{ name: "echo" }, { name: "nap" }] });
  expect((await fetch(`${url}/tools`, { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
  expect((await older(url, "tools/call", { name: "echo" }, { key: "crm-key" })).body.result).toMatchObject({
    structuredContent: { source: "crm" },
  });
  const byHeader = await post(url, { jsonrpc: "2.0", id: 1, method: "ping" }, { headers: { "x-api-key": token } });
  expect(byHeader.status).toBe(401);
});

test("the challenge names the metadata, the problem and the missing scope", async () => {
  const { url } = service;
  const base = `resource_metadata="${metadataUrl}", scope="tools:read tools:execute"`;
  const missing = await post(url, { jsonrpc: "2.0", id: 1, method: "ping" });
  expect([missing.status, missing.headers.get("www-authenticate")]).toEqual([401, `Bearer ${base}`]);
  const bad = await post(url, { jsonrpc: "2.0", id: 1, method: "ping" }, { key: `${await sign("ann", "")}x` });
  expect([bad.status, bad.headers.get("www-authenticate")]).toEqual([401, `Bearer error="invalid_token", ${base}`]);
  const reader = await sign("bob", "Tools.List");
  const narrow = await modern(url, "tools/call", { name: "echo" }, { key: reader });
  expect([narrow.status, narrow.headers.get("www-authenticate")]).toEqual([
    403,
    `Bearer error="insufficient_scope", scope="tools:execute", resource_metadata="${metadataUrl}"`,
  ]);
  for (const path of ["", "/mcp"]) {
    const metadata = await fetch(`${url}/.well-known/oauth-protected-resource${path}`);
    expect(await metadata.json()).toEqual({
      resource,
      authorization_servers: [issuer.url],
      scopes_supported: ["Tools.Run", "Tools.List"],
      bearer_methods_supported: ["header"],
    });
  }
  await using without = await startService({ plugins: [{ use: testTool("echo") }] });
  expect((await fetch(`${without.url}/.well-known/oauth-protected-resource/mcp`)).status).toBe(404);
});

test("a token's tasks run as its caller, and are invisible to other subjects", async () => {
  const { url } = service;
  const token = await sign("ann", "Tools.Run");
  const started = await modern(url, "tools/call", { name: "nap", arguments: { ms: 150 } }, { key: token, tasks: true });
  const taskId = started.body.result?.["taskId"] as unknown as string;
  expect(taskId).toBeTypeOf("string");
  const other = await modern(url, "tasks/get", { taskId }, { key: await sign("bob", "Tools.Run"), tasks: true });
  expect(other.body.error?.message).toBe("Task not found");
  await expect
    .poll(async () => (await modern(url, "tasks/get", { taskId }, { key: token, tasks: true })).body.result)
    .toMatchObject({ status: "completed", result: { structuredContent: { slept: 150 } } });
});

test("if tokens are accepted, a request without credentials is refused, even if there are no keys", async () => {
  await using closed = await startService({
    yaml: { oauth: [{ name: "staff", issuer: issuer.url, jwksUrl: `${issuer.url}/keys`, resource }] },
    plugins: [{ use: testTool("echo") }],
  });
  expect((await older(closed.url, "tools/call", { name: "echo" })).status).toBe(401);
  const rpc = createJackfieldClient({ baseUrl: closed.url }).executor.listTools({});
  await expect(rpc).rejects.toThrow("a valid key is needed");
});
