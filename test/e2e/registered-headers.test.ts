import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { rpc } from "../support/http-client.ts";
import { startReceiver } from "../support/receiver.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { startService, testTool } from "../support/service.ts";

test("headers of registered tools are shown nowhere, and change no line or answer of others", async () => {
  // A target that repeats its request, headers included, in its error.
  await using target = await startReceiver(({ text, headers }) => ({ status: 422, body: { text, with: headers } }));
  using folder = scratchFolder();
  const yaml = {
    callers: [
      { name: "mallory", tenant: "evil", keys: ["mallory-key"], scopes: ["tools:register", "tools:execute"] },
      { name: "crm", tenant: "good", keys: ["crm-key"], scopes: ["tools:execute"] },
    ],
  };
  const env = { JACKFIELD_PRIVATE_ADDRESSES: "127.0.0.1", LOG_LEVEL: "trace" };
  const secret = "registered-geheim-5521";
  const headers = { "x-a": secret, "x-b": '","tenant":"', "x-c": '{"time":"20', "x-d": '"level":"', "x-e": "mallory" };
  const call = async (key: string, name: string) => {
    const { body } = await rpc(service.url, "ToolExecutor/ExecuteTool", { call: { name, id: name } }, key);
    return JSON.stringify(body);
  };
  await using service = await startService({ dataDir: folder.path, env, yaml, plugins: [{ use: testTool("echo") }] });
  const tool = { name: "theirs", description: "d", inputSchema: { type: "object" } };
  const registration = { tool, target: { http: { url: target.url, headers } } };
  expect(await rpc(service.url, "ToolRegistry/RegisterTool", registration, "mallory-key")).toMatchObject({
    status: 200,
  });
  const answers = [
    await call("mallory-key", "theirs"),
    await call("crm-key", "echo"),
    await call("crm-key", "mallory"),
  ];
  expect(target.received[0]?.headers["x-a"]).toBe(secret);
  expect(answers[0]).toContain("External API returned 422");
  expect(answers[2]).toContain("Unknown tool: mallory");
  await service[Symbol.asyncDispose]();
  const audit = readFileSync(join(folder.path, "audit.jsonl"), "utf8");
  expect(audit + service.logs() + answers.join("\n")).not.toContain(secret);
  const lines = audit
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { caller?: string; tool_name?: string });
  expect(lines.map(({ caller, tool_name }) => `${caller} ${tool_name}`)).toEqual([
    "mallory theirs",
    "mallory theirs",
    "crm echo",
    "crm mallory",
  ]);
  for (const line of service.logs().trim().split("\n")) expect(JSON.parse(line)).toHaveProperty("level");
});
