import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { post, rpc, readAnswer, until } from "../support/http-client.ts";
import { startOtlp } from "../support/otlp.ts";
import { startReceiver } from "../support/receiver.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { runProcess, startService, testTool } from "../support/service.ts";

const planted = {
  configured: "sk-konfiguriert-8cf1f0aa",
  webhook: "hook-geheim-5ad20b17",
  rpc: "rpc-geheim-77ab01ff",
  cognigy: "cog-geheim-90fe12cd",
  client: "client-geheim-4417ab",
  argument: "4111-1111-1111-1111-note",
};

test("a secret of the configuration, a header or an argument appears in no log, span, audit line, error, metric or page", async () => {
  await using otlp = await startOtlp();
  // A downstream that repeats each request, key included, in its error.
  await using downstream = await startReceiver(({ text, headers }) => ({
    status: 422,
    body: { you_sent: text, with: headers },
  }));
  using folder = scratchFolder();
  const dataDir = join(folder.path, "data");
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url,
    OTEL_METRIC_EXPORT_INTERVAL: "200",
    GENESYS_WEBHOOK_KEY: planted.webhook,
    COGNIGY_API_KEY: planted.cognigy,
    JACKFIELD_API_KEYS: `boss:${planted.rpc}:admin`,
    GENESYS_API_BASE_URL: downstream.url,
    GENESYS_CLIENT_ID: "me",
    GENESYS_CLIENT_SECRET: planted.client,
    LOG_LEVEL: "trace",
    LEAK_KEY: planted.configured,
  };
  const plugins = [
    { use: testTool("leak"), config: { baseUrl: downstream.url, apiKey: "${env:LEAK_KEY}" } },
    { use: testTool("echo") },
  ];
  const seen: string[] = [];
  let logs = "";
  {
    await using service = await startService({ dataDir, env, plugins });
    const args = (how: string) => ({ how, note: planted.argument });
    for (const how of ["throw", "throw text", "downstream", "return"]) {
      const answer = await rpc(
        service.url,
        "ToolExecutor/ExecuteTool",
        { call: { id: how, name: "leak", arguments: args(how) } },
        planted.rpc,
      );
      seen.push(JSON.stringify(answer.body).replaceAll(how === "downstream" ? planted.argument : "\u0000", ""));
      const cognigy = await readAnswer(
        post(
          `${service.url}/api/v1/llm/tool-callback`,
          { tool_call_id: how, name: "leak", arguments: args(how) },
          { "x-cognigy-ai-api-key": planted.cognigy },
        ),
      );
      // A downstream's message may repeat the request: arguments, but never keys.
      seen.push(cognigy.text.replaceAll(how === "downstream" ? planted.argument : "\u0000", ""));
    }
    const wrongArguments = await rpc(
      service.url,
      "ToolExecutor/ExecuteTool",
      { call: { name: "leak", arguments: { how: 1, note: planted.argument } } },
      planted.rpc,
    );
    seen.push(JSON.stringify(wrongArguments.body));
    const stream = await readAnswer(
      post(
        `${service.url}/llm-gateway/tools`,
        { conversation_id: "c", tool_calls: [{ id: "s", function: { name: "leak", arguments: args("throw") } }] },
        { "x-api-key": planted.webhook },
      ),
    );
    expect(stream.text).toContain('"status":"running"');
    seen.push(stream.text);
    const job = await readAnswer(
      post(
        `${service.url}/webhook/tool-calls`,
        { run_id: "r", tool_calls: [{ id: "j", function: { name: "leak", arguments: args("throw") } }] },
        { "x-api-key": planted.webhook },
      ),
    );
    seen.push(job.text);
    await until(() => downstream.received.some(({ path }) => path === "/oauth/token"));
    const jobs = await rpc(service.url, "Jobs/ListJobs", {}, planted.rpc);
    // A job's calls are its content: callers who may read the job see them.
    seen.push(JSON.stringify(jobs.body).replaceAll(planted.argument, ""));
    for (const path of [
      "/metrics",
      "/readyz",
      "/healthz",
      "/tools",
      "/tools?format=mcp",
      "/nothing",
      `/api/v1/llm/tool-callback/x?key=${planted.rpc}`,
    ]) {
      seen.push(
        (await readAnswer(fetch(`${service.url}${path}`, { headers: { authorization: `Bearer ${planted.rpc}` } })))
          .text,
      );
    }
    for (const key of [planted.webhook, planted.rpc]) {
      seen.push(
        (await readAnswer(post(`${service.url}/llm-gateway/tools`, "{", { authorization: `Bearer ${key}` }))).text,
      );
      seen.push(JSON.stringify((await rpc(service.url, "ToolExecutor/ExecuteTool", { call: 1 }, key)).body));
    }
    await until(() => otlp.received.some(({ path }) => path === "/v1/metrics"));
    logs = service.logs();
  }
  logs += readFileSync(join(dataDir, "audit.jsonl"), "utf8");
  expect(logs).toContain("about to fail");
  expect(readFileSync(join(dataDir, "audit.jsonl"), "utf8").split("\n").length).toBeGreaterThan(9);
  expect(otlp.spans().length).toBeGreaterThan(9);
  const checked = await runProcess({ args: ["check"], env, plugins });
  expect(checked.code, checked.stderr).toBe(0);
  const checkedJson = await runProcess({ args: ["check", "--json"], env, plugins });
  const wrong = await runProcess({
    env: { ...env, JACKFIELD_API_KEYS: `boss:${planted.rpc}:adminn`, PORT: "x" },
    plugins,
  });
  expect(wrong.code).toBe(1);
  // Only at `debug` a line contains the message of a tool's own error, which may repeat its arguments.
  const isDetail = (line: string): boolean => /"level":"debug".*"msg":"[^"]*: details"/.test(line);
  const places = {
    logs: logs
      .split("\n")
      .map((line) => (isDetail(line) ? line.replaceAll(planted.argument, "") : line))
      .join("\n"),
    spans: otlp.everything(),
    answers: seen.join("\n"),
    check: checked.stdout + checked.stderr + checkedJson.stdout + checkedJson.stderr + wrong.stdout + wrong.stderr,
  };
  for (const [place, text] of Object.entries(places)) {
    for (const [name, secret] of Object.entries(planted))
      expect([place, name, contextOf(text, secret)]).toEqual([place, name, ""]);
  }
  // They are where they belong: the downstream received key and argument.
  const sent = downstream.received.find(({ path }) => path === "/echo");
  expect([sent?.headers.authorization, JSON.parse(sent?.text ?? "{}")]).toEqual([
    `Bearer ${planted.configured}`,
    { note: planted.argument },
  ]);
  // No file contains keys. Arguments and results are in the store.
  for (const file of readdirSync(dataDir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())) {
    const text = readFileSync(join(file.parentPath, file.name), "latin1");
    for (const name of ["configured", "webhook", "rpc", "cognigy", "client"] as const) {
      expect([file.name, name, contextOf(text, planted[name])]).toEqual([file.name, name, ""]);
    }
  }
}, 90_000);

/** Returns the surroundings of a text that was found. */
function contextOf(text: string, secret: string): string {
  const at = text.indexOf(secret);
  return at < 0 ? "" : text.slice(Math.max(0, at - 150), at + secret.length + 30);
}
