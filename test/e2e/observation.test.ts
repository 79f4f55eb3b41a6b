import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import parsePrometheus from "parse-prometheus-text-format";
import { expect } from "vitest";
import { Conversations } from "../../gen/jackfield/v1/conversations_pb.ts";
import { post, rpc, readAnswer, until } from "../support/http-client.ts";
import { program } from "../support/program.ts";
import { startOtlp } from "../support/otlp.ts";
import { startReceiver } from "../support/receiver.ts";
import { startService, testTool } from "../support/service.ts";
import { testRequirement } from "../support/test-requirement.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");
const traceId = "0af7651916cd43dd8448eb211c80319c";
const traceparent = `00-${traceId}-b7ad6b7169203331-01`;

testRequirement(
  ["000.10", "fault-002.spans"],
  "one trace leads from the incoming traceparent to the downstream's header, exported to a real receiver",
  async () => {
    await using otlp = await startOtlp();
    await using seats = await startReceiver(() => ({ body: { booked: true } }));
    {
      await using service = await startService({
        env: { OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url, OTEL_METRIC_EXPORT_INTERVAL: "200" },
        plugins: [{ use: testTool("book"), config: { baseUrl: seats.url } }],
      });
      const call = (id: string, seat: string) => ({ id, function: { name: "book", arguments: { seat } } });
      await readAnswer(
        post(
          `${service.url}/llm-gateway/tools`,
          { conversation_id: "c-9", session_id: "s-9", tool_calls: [call("a", "1"), call("b", "2")] },
          { traceparent },
        ),
      );
      await readAnswer(
        post(
          `${service.url}/api/v1/llm/tool-callback`,
          { tool_call_id: "y", name: "book", arguments: { seat: "3" } },
          { traceparent },
        ),
      );
      await readAnswer(
        post(
          `${service.url}/jackfield.v1.ToolExecutor/ExecuteTool`,
          { call: { id: "z", name: "book", arguments: { seat: "4" } } },
          { traceparent },
        ),
      );
      await readAnswer(
        post(`${service.url}/webhook/tool-calls`, { run_id: "r", tool_calls: [call("w", "5")] }, { traceparent }),
      );
      await until(() => seats.received.length === 5);
    }
    const spans = otlp.spans();
    const byId = new Map(spans.map((span) => [span.spanId, span]));
    const executions = spans.filter(({ name }) => name === "execute_tool book");
    expect(executions.map(({ attributes }) => attributes["gen_ai.tool.call.id"]).toSorted()).toEqual([
      "a",
      "b",
      "w",
      "y",
      "z",
    ]);
    // The only request that belongs to no call: the token for deliveries.
    expect(spans.filter((span) => span.traceId !== traceId).map(({ name, parentId }) => [name, parentId])).toEqual([
      ["POST", ""],
    ]);
    const sent = new Set(seats.received.map(({ headers }) => String(headers["traceparent"])));
    expect(sent.size).toBe(5);
    for (const header of sent) {
      const [, trace, parent] = header.split("-");
      expect(trace).toBe(traceId);
      // From the request up to the caller, without a gap.
      let at = byId.get(parent ?? "");
      let sawExecution = false;
      while (at !== undefined) {
        sawExecution ||= at.name === "execute_tool book";
        if (at.parentId === "b7ad6b7169203331") break;
        at = byId.get(at.parentId);
      }
      expect([header, sawExecution, at?.parentId]).toEqual([header, true, "b7ad6b7169203331"]);
    }
    const [first] = executions.filter(({ attributes }) => attributes["gen_ai.tool.call.id"] === "a");
    expect(first?.attributes).toMatchObject({
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": "book",
      "gen_ai.conversation.id": "c-9",
      "session.id": "s-9",
    });
    expect(byId.get(first?.parentId ?? "")?.name).toMatch(/llm-gateway|ExecuteTools/);
    expect(otlp.received.some(({ path }) => path === "/v1/metrics")).toBe(true);
  },
  60_000,
);

testRequirement(
  ["002.11", "002.12", "fault-002.spans"],
  "the spans of a conversation are nested, and its audit lines report what happened",
  async () => {
    await using otlp = await startOtlp();
    const dataDir = join(root, "node_modules/.cache", `jackfield-audit-${process.pid}`);
    let lines: Record<string, unknown>[] = [];
    {
      await using service = await startService({
        dataDir,
        env: { OTEL_EXPORTER_OTLP_ENDPOINT: otlp.url },
        plugins: [{ use: "@jackfield/get-weather" }, { use: "@jackfield/get-order-status" }],
      });
      const client = createClient(Conversations, createConnectTransport({ baseUrl: service.url, httpVersion: "1.1" }));
      let text = "";
      for await (const { event } of client.runConversation({
        message: "What is the weather in London, and where is order ORD-9999999?",
        conversationId: "conv-5",
      })) {
        if (event.case === "done") text = event.value.text;
      }
      expect(text).toContain("In London it is 22 °C, clear.");
    }
    const audit = join(dataDir, "audit.jsonl");
    lines = readFileSync(audit, "utf8")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const { stdout } = await run(process.execPath, [...program, "audit", "verify", audit]);
    expect(stdout).toMatch(/none changed/);
    const spans = otlp.spans();
    const find = (name: string) => spans.filter((span) => span.name === name);
    const [conversation] = find("genesys.llm.gateway.conversation");
    expect(conversation?.attributes).toMatchObject({ "conversation.id": "conv-5", model: "gpt-4o" });
    const invocations = find("genesys.llm.gateway.invocation");
    expect(
      invocations.map(({ attributes, parentId }) => [attributes["iteration"], attributes["tool_count"], parentId]),
    ).toEqual([
      [0, 2, conversation?.spanId],
      [1, 2, conversation?.spanId],
    ]);
    expect(invocations.every(({ attributes }) => typeof attributes["latency_ms"] === "number")).toBe(true);
    for (const [name, success, status] of [
      ["get_weather", true, 1],
      ["get_order_status", false, 2],
    ] as const) {
      const [tool] = find(`tool.execute.${name}`);
      expect(tool?.attributes).toMatchObject({ "tool.name": name, success });
      expect(tool?.status).toBe(status);
      expect([name, tool?.parentId]).toEqual([name, invocations[0]?.spanId]);
      const [own] = find(`execute_tool ${name}`);
      expect([name, own?.parentId]).toEqual([name, tool?.spanId]);
    }
    expect(new Set(spans.filter(({ name }) => name !== "POST").map((span) => span.traceId)).size).toBe(1);

    const of = (event: string) => lines.filter((line) => line["event"] === event);
    expect(of("conversation_start")).toMatchObject([{ conversation_id: "conv-5", model: "gpt-4o" }]);
    expect(Math.abs((of("conversation_start")[0]?.["timestamp"] as number) - Date.now() / 1000)).toBeLessThan(120);
    expect(of("tool_success")).toMatchObject([{ conversation_id: "conv-5", tool_name: "get_weather" }]);
    expect(of("tool_success")[0]?.["tool_call_id"]).toEqual(expect.any(String));
    expect(of("tool_success")[0]?.["latency_ms"]).toEqual(expect.any(Number));
    expect(of("tool_failure")).toMatchObject([
      { conversation_id: "conv-5", tool_name: "get_order_status", error: expect.stringMatching(/404/) as string },
    ]);
    for (const line of of("tool_execution")) {
      for (const field of [
        "event",
        "time",
        "caller",
        "tenant",
        "source",
        "conversation_id",
        "tool_name",
        "tool_call_id",
        "arguments_digest",
        "outcome",
        "latency_ms",
        "trace_id",
      ]) {
        expect(Object.keys(line)).toContain(field);
      }
      expect(line["trace_id"]).toBe(conversation?.traceId);
    }
  },
  60_000,
);

testRequirement(
  "003.10",
  "/metrics contains every name of the contract, read by a real parser, and everything that dashboard and alerts query",
  async () => {
    await using platform = await startReceiver(({ path }) =>
      path === "/oauth/token"
        ? { body: { access_token: "t", expires_in: 3600 } }
        : { status: 403, body: { message: "no" } },
    );
    await using gone = await startReceiver(() => ({ status: 500 }));
    await using service = await startService({
      env: { GENESYS_API_BASE_URL: platform.url, GENESYS_CLIENT_ID: "i", GENESYS_CLIENT_SECRET: "geheim" },
      yaml: { prices: { tools: { get_weather: 0.5 } } },
      plugins: [
        { use: "@jackfield/get-weather" },
        { use: testTool("book"), config: { baseUrl: "http://127.0.0.1:9" } },
        { use: testTool("nap") },
        { use: testTool("leak"), config: { baseUrl: gone.url, apiKey: "planted-key" } },
      ],
    });
    const ask = (id: string, name: string, args: object) =>
      readAnswer(post(`${service.url}/api/v1/llm/tool-callback`, { tool_call_id: id, name, arguments: args }));
    await ask("1", "get_weather", { location: "London" });
    await ask("2", "get_weather", {});
    await ask("3", "nothing", {});
    for (let index = 0; index < 12; index += 1) await ask(`b${index}`, "book", { seat: String(index) });
    await rpc(service.url, "ToolExecutor/ListTools", {});
    await rpc(service.url, "ToolExecutor/GetCall", { callId: "none" });
    await readAnswer(
      post(`${service.url}/webhook/tool-calls`, {
        run_id: "r",
        tool_calls: [{ id: "j", function: { name: "nap", arguments: { ms: 0 } } }],
      }),
    );
    await until(
      async () => (await rpc(service.url, "Jobs/ListJobs", { state: "JOB_STATE_DEAD" })).body["jobs"] !== undefined,
    );
    const text = await (await fetch(`${service.url}/metrics`)).text();
    const families = new Map(parsePrometheus(text).map((family) => [family.name, family]));
    const value = (name: string, labels: Record<string, string>) =>
      families
        .get(name)
        ?.metrics.find((metric) => Object.entries(labels).every(([key, wanted]) => metric.labels?.[key] === wanted))
        ?.value;
    expect(value("cognigy_tool_invocations_total", { status: "success" })).toBe("1");
    expect(value("cognigy_tool_invocations_total", { status: "fallback" })).toBe("14");
    expect(families.get("cognigy_tool_execution_duration_seconds")?.type).toBe("HISTOGRAM");
    expect(families.get("cognigy_tool_execution_duration_seconds")?.metrics[0]?.count).toBe("13");
    expect(value("cognigy_tool_cost_attribution_total", { tool: "get_weather", status: "success" })).toBe("1");
    expect(value("cognigy_tool_cost_attribution_total", { tool: "book", status: "fallback" })).toBe("12");
    expect(value("cognigy_tool_cost_attribution_total", { tool: "nothing" })).toBeUndefined();
    expect(value("jackfield_tool_cost_total", { gen_ai_tool_name: "get_weather" })).toBe("0.5");
    expect(value("jackfield_jobs_dead_letters", {})).toBe("1");
    for (const name of [
      "gen_ai_execute_tool_duration_seconds",
      "rpc_server_call_duration_seconds",
      "jackfield_jobs_depth",
      "jackfield_jobs_oldest_age_seconds",
      "jackfield_breaker_state",
    ]) {
      expect([name, families.has(name)]).toEqual([name, true]);
    }
    const dashboard = JSON.parse(readFileSync(join(root, "deploy/grafana/jackfield.json"), "utf8")) as {
      panels: { targets?: { expr: string }[] }[];
    };
    const alerts = [...readFileSync(join(root, "deploy/prometheus/alerts.yaml"), "utf8").matchAll(/expr: (.*)/g)].map(
      ([, expr = ""]) => expr,
    );
    const queries = [...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)), ...alerts];
    expect(queries.length).toBeGreaterThan(10);
    for (const query of queries) {
      const [name = ""] =
        /[a-z_]+_[a-z_]+(?=[[{) ]|$)/.exec(
          query.replaceAll(/\b(sum|max|histogram_quantile|rate|increase)\b|by \([^)]*\)/g, ""),
        ) ?? [];
      const family = families.get(name) ?? families.get(name.replace(/_(bucket|count|sum)$/, ""));
      expect([query, name, family !== undefined]).toEqual([query, name, true]);
      const labels = [...query.matchAll(/by \(([^)]*)\)/g)]
        .flatMap(([, list = ""]) => list.split(", "))
        .filter((label) => label !== "le");
      // From the text, because the parser joins the series of a histogram.
      const known = new Set(
        text
          .split("\n")
          .filter((line) => line.startsWith(`${name}{`))
          .flatMap((line) => [...line.matchAll(/(\w+)="/g)].map(([, label]) => label)),
      );
      expect([query, labels.filter((label) => !known.has(label))]).toEqual([query, []]);
    }
  },
  60_000,
);
