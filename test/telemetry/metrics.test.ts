import { cognigyInstruments } from "../../src/adapters/cognigy/payloads.ts";
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { parse } from "yaml";
import parsePrometheus from "parse-prometheus-text-format";
import type { Family } from "parse-prometheus-text-format";
import { metricNames } from "../../src/telemetry/attributes.ts";
import type { Telemetry } from "../../src/telemetry/telemetry.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { withTelemetry } from "./with-telemetry.ts";

const prices = { tools: { "get_*": 0.5 }, callers: { crm: { get_weather: 2 } } };

async function read(telemetry: Telemetry): Promise<Map<string, Family>> {
  const families = parsePrometheus(await telemetry.prometheus());
  return new Map(families.map((family) => [family.name, family]));
}

async function exercised() {
  const base = await withTelemetry();
  await base[Symbol.asyncDispose]();
  const run = await withTelemetry({ config: { ...base.config, prices, auditFile: "-" } });
  const { metrics } = run.telemetry;
  const call = { tool: "get_weather", outcome: "OK", seconds: 0.2, ran: true, caller: "crm", source: "crm" };
  metrics.executed(call);
  metrics.executed({ ...call, caller: "other" });
  metrics.executed({ ...call, outcome: "INVALID_ARGUMENTS", ran: false });
  metrics.rpcServed("jackfield.v1.ToolExecutor/ExecuteTool", "ok", 0.01);
  const measure = metrics.measureFor(cognigyInstruments);
  measure("cognigy.tool.invocations", { status: "success" }, 1);
  measure("cognigy.tool.invocations", { status: "fallback" }, 1);
  measure("cognigy.tool.execution.duration", {}, 0.2);
  measure("cognigy.tool.cost.attribution", { tool: "get_weather", status: "success" }, 1);
  metrics.delivered({ platform: "genesys", result: "retry" });
  metrics.breakerChanged("https://erp.example.com", "open");
  metrics.gauge(metricNames.queueDepth, "Jobs by state.", () => [
    { value: 3, attributes: { "jackfield.job.state": "ACCEPTED" } },
  ]);
  metrics.gauge(metricNames.oldestJobAge, "Age of the oldest job.", () => 7);
  metrics.gauge(metricNames.deadLetters, "Dead letters.", () => Promise.resolve(1));
  metrics.gauge(metricNames.running, "Running executions.", () => 2);
  return run;
}

testRequirement("003.10", "the Cognigy metrics have the names and labels that Prometheus queries use", async () => {
  await using run = await exercised();
  const families = await read(run.telemetry);
  expect(families.get("cognigy_tool_invocations_total")?.metrics).toEqual([
    { labels: { status: "success" }, value: "1" },
    { labels: { status: "fallback" }, value: "1" },
  ]);
  const duration = families.get("cognigy_tool_execution_duration_seconds");
  expect(duration?.type).toBe("HISTOGRAM");
  expect(duration?.metrics[0]).toMatchObject({
    count: "1",
    sum: "0.2",
    buckets: { "0.1": "0", "0.25": "1", "+Inf": "1" },
  });
  expect(families.get("cognigy_tool_cost_attribution_total")?.metrics).toEqual([
    { labels: { tool: "get_weather", status: "success" }, value: "1" },
  ]);
});

test("a caller's own price overrides the tool's, and calls that did not run cost nothing", async () => {
  await using run = await exercised();
  expect((await read(run.telemetry)).get("jackfield_tool_cost_total")?.metrics).toEqual([
    { labels: { gen_ai_tool_name: "get_weather", jackfield_caller: "crm" }, value: "2" },
    { labels: { gen_ai_tool_name: "get_weather", jackfield_caller: "other" }, value: "0.5" },
  ]);
});

test("names of unknown tools are one series, however many there are", async () => {
  await using run = await withTelemetry();
  for (let index = 0; index < 100; index += 1) {
    run.telemetry.metrics.executed({
      tool: `made up ${index}`,
      outcome: "UNKNOWN_TOOL",
      seconds: 0,
      ran: false,
      caller: "a",
      source: "a",
    });
  }
  expect((await read(run.telemetry)).get("jackfield_tool_calls_total")?.metrics).toHaveLength(1);
});

test("a value that cannot be read does not affect the others", async () => {
  await using run = await exercised();
  run.telemetry.metrics.gauge("jackfield.broken", "Fails.", () => Promise.reject(new Error("no store")));
  expect((await read(run.telemetry)).get("jackfield_executions_running")?.metrics[0]?.value).toBe("2");
});

test("every query of the dashboard and the alerts finds its series and labels", async () => {
  await using run = await exercised();
  const families = await read(run.telemetry);
  const text = await run.telemetry.prometheus();
  const at = (path: string) => readFile(new URL(`../../deploy/${path}`, import.meta.url), "utf8");
  const dashboard: { panels: { targets: { expr: string }[] }[] } = JSON.parse(await at("grafana/jackfield.json"));
  const alerts: { groups: { rules: { expr: string }[] }[] } = parse(await at("prometheus/alerts.yaml"));
  const queries = [
    ...dashboard.panels.flatMap((panel) => panel.targets.map(({ expr }) => expr)),
    ...alerts.groups.flatMap((group) => group.rules.map(({ expr }) => expr)),
  ];
  expect(queries.length).toBeGreaterThan(15);
  for (const query of queries) {
    const names =
      query
        .match(/\b[a-z_]+(?=[[{)]|$| [><=])/g)
        ?.filter((name) => name.includes("_") && name !== "histogram_quantile") ?? [];
    const series = names.find(
      (name) =>
        /^(jackfield|cognigy|gen_ai_execute|rpc_server)_/.test(name) &&
        !/^jackfield_(outcome|caller|origin|platform|result|job_state)$/.test(name),
    );
    const suffix = /_(bucket|count|sum)$/.exec(series ?? "")?.[0] ?? "";
    const family = families.get((series ?? query).slice(0, suffix === "" ? undefined : -suffix.length));
    expect(family, query).toBeDefined();
    // The parser drops the labels of histograms, so they are read from the lines.
    const lines = text.split("\n").filter((line) => line.startsWith(`${series}{`));
    const known = new Set(lines.flatMap((line) => [...line.matchAll(/[{,](\w+)="/g)].map((match) => match[1]!)));
    const used = [
      ...(/by \(([^)]*)\)/.exec(query)?.[1]?.split(/,\s*/) ?? []),
      ...[...query.matchAll(/[{,](\w+)!?=/g)].map((match) => match[1]!),
    ];
    for (const label of used) expect(known, `${label} in ${query}`).toContain(label);
  }
});

test("declared instruments count, build histograms and show their last value; an undeclared name is refused", async () => {
  await using run = await withTelemetry();
  const { metrics } = run.telemetry;
  const instruments = [
    { name: "acme.calls", kind: "counter", description: "Calls.", labels: ["status"] },
    { name: "acme.left", kind: "gauge", description: "Requests left.", labels: [] },
  ] as const;
  const measure = metrics.measureFor(instruments);
  expect(await run.telemetry.prometheus()).not.toContain("acme");
  measure("acme.calls", { status: "ok" }, 1);
  metrics.measureFor(instruments)("acme.calls", { status: "ok" }, 2);
  measure("acme.left", {}, 9);
  measure("acme.left", {}, 4);
  const families = await read(run.telemetry);
  expect(families.get("acme_calls_total")?.metrics).toEqual([{ labels: { status: "ok" }, value: "3" }]);
  expect(families.get("acme_left")?.metrics).toMatchObject([{ value: "4" }]);
  expect(() => measure("acme.other", {}, 1)).toThrow("acme.other was not declared");
});
