import { readFileSync } from "node:fs";
import { context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import { InMemorySpanExporter } from "@opentelemetry/sdk-trace";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { createRedactor } from "../../src/telemetry/redact.ts";
import { withTelemetry } from "./with-telemetry.ts";

const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

test("a planted secret appears in no log line, span or audit line", async () => {
  const secret = 'pl"anted\\secret-1';
  const spanExporter = new InMemorySpanExporter();
  await using run = await withTelemetry({ secrets: [secret], spanExporter });
  const { log, tracer, hide } = run.telemetry;
  hide("marked-later");
  log.info(
    {
      apiKey: "abc-key",
      deep: { headers: { authorization: "Bearer abc" } },
      url: `https://x/?k=${encodeURIComponent(secret)}`,
    },
    `got ${secret}`,
  );
  log.error({ err: new Error(`refused ${secret}`, { cause: new Error("marked-later") }) }, "failed");
  tracer.startSpan("execute_tool x", { attributes: { note: `with ${secret}` } }).end();
  const written = run.lines.join("");
  expect(written).toContain("got [secret]");
  for (const text of ["anted", "abc-key", "Bearer abc", "marked-later"]) expect(written).not.toContain(text);
  expect(spanExporter.getFinishedSpans()[0]?.attributes).toEqual({ note: "with [secret]" });
});

test("values under secret keys are hidden down to two levels, and nothing else is changed", async () => {
  await using run = await withTelemetry();
  const fields = {
    token: "t-0",
    list: [{ password: "t-1", id: "seen-1" }, "seen-2"],
    map: { inner: { "x-api-key": "t-2", size: 3 } },
    when: new Date(0),
    cookie: undefined,
  };
  run.telemetry.log.info(fields, "said");
  expect(JSON.parse(run.lines.join(""))).toMatchObject({
    token: "[secret]",
    list: [{ password: "[secret]", id: "seen-1" }, "seen-2"],
    map: { inner: { "x-api-key": "[secret]", size: 3 } },
    when: "1970-01-01T00:00:00.000Z",
    msg: "said",
  });
  expect(run.lines.join("")).not.toContain("cookie");
  expect(fields.list[0]).toEqual({ password: "t-1", id: "seen-1" });
});

test("stacks are logged only at debug", async () => {
  await using run = await withTelemetry();
  run.telemetry.log.error({ err: new Error("broken") }, "failed");
  expect(run.lines.join("")).not.toContain(".ts:");
});

test.each([false, true])(
  "text from callers cannot start a log line or control a terminal (pretty: %s) (hazard 18)",
  async (pretty) => {
    await using run = await withTelemetry({ pretty });
    const hostile = 'x\n{"level":"info"}\r\n\u001b[2J\u009b31m\\n end';
    run.telemetry.log.info({ id: hostile }, hostile);
    const text = run.lines.join("");
    expect(text.trimEnd().split("\n").length).toBe(pretty ? 2 : 1);
    expect(text).not.toContain(pretty ? "\u001b[2J" : "\u001b");
    if (pretty) expect(text).not.toContain("\u009b");
  },
);

test("the redactor leaves nothing of any secret it knows", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ minLength: 4 }), { minLength: 1, maxLength: 5 }),
      fc.string(),
      (secrets, around) => {
        const { redact } = createRedactor(secrets);
        for (const secret of secrets) {
          const clean = redact(`${around}${secret}${around}`).replaceAll("[secret]", "");
          const rest = (around + around).length;
          expect(clean.length).toBeLessThanOrEqual(rest);
        }
      },
    ),
  );
});

test("the W3C context is read and propagated, with and without tracing", async () => {
  await using off = await withTelemetry();
  expect(off.telemetry.tracing).toBe(false);
  expect(off.telemetry.extract("garbage")).toBeUndefined();
  expect(off.telemetry.inject(ROOT_CONTEXT)).toEqual({});
  const passed = off.telemetry.extract(parent, "vendor=1")!;
  expect(off.telemetry.inject(passed)).toEqual({ traceparent: parent, tracestate: "vendor=1" });

  await using on = await withTelemetry({ spanExporter: new InMemorySpanExporter() });
  const incoming = on.telemetry.extract(parent)!;
  const span = on.telemetry.tracer.startSpan("execute_tool x", {}, incoming);
  const { traceparent } = on.telemetry.inject(trace.setSpan(incoming, span));
  span.end();
  expect(traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/);
  expect(context.active()).toBe(ROOT_CONTEXT);
});

test("spans and metrics go to the OTLP endpoint with its headers", async () => {
  const { createServer } = await import("node:http");
  const seen: Record<string, string | undefined> = {};
  const server = createServer((request, response) => {
    seen[request.url ?? ""] = String(request.headers["x-team"]);
    request.resume().on("end", () => response.end());
  });
  await new Promise<void>((done) => void server.listen(0, "127.0.0.1", done));
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  const run = await withTelemetry(
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_HEADERS: "x-team=tools" },
  );
  expect(run.telemetry.tracing).toBe(true);
  run.telemetry.tracer.startSpan("execute_tool x").end();
  run.telemetry.metrics.rpcServed("a/b", "ok", 1);
  await run[Symbol.asyncDispose]();
  await new Promise((done) => server.close(done));
  expect(seen).toEqual({ "/v1/traces": "tools", "/v1/metrics": "tools" });
});

test("a failing destination loses lines, which are counted, and fails no call (hazard 43)", async () => {
  let full = false;
  const written: string[] = [];
  const destination = {
    write(line: string) {
      if (full) throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      written.push(line);
    },
  };
  await using run = await withTelemetry({ destination });
  const { log } = run.telemetry;
  full = true;
  for (let n = 0; n < 3; n += 1) log.error({ n }, "lost");
  expect(written).toEqual([]);
  expect(await run.telemetry.prometheus()).toMatch(/jackfield_log_dropped_total\{?[^}]*\}? 3/);
  full = false;
  log.info("back");
  expect(written.map((line) => JSON.parse(line) as object)).toMatchObject([
    { msg: "back" },
    { lines: 3, msg: expect.stringContaining("dropped") as string },
  ]);
});

test("an error with hostile getters, and fields that throw, can be logged", async () => {
  await using run = await withTelemetry({}, { LOG_LEVEL: "debug" });
  const hostile = new Error("x");
  for (const key of ["message", "stack", "cause", "code"]) {
    Object.defineProperty(hostile, key, {
      get() {
        throw new Error("no");
      },
    });
  }
  run.telemetry.log.error({ err: hostile }, "first");
  const fields = {
    get n(): number {
      throw new Error("no");
    },
  };
  run.telemetry.log.error(fields, "second");
  run.telemetry.log.error("third");
  expect(run.lines.join("")).toContain("first");
  expect(run.lines.join("")).toContain("third");
});

test("secrets of any number and size are hidden, and hiding never fails (hazard 44)", () => {
  const secrets = Array.from({ length: 3000 }, (_, n) => `secret-${n}-${"x".repeat(n % 40)}`);
  const long = `${"[(a+)+]".repeat(6000)}\ud800`;
  const { redact, hide } = createRedactor(secrets);
  hide(long);
  const text = `a ${long} b ${JSON.stringify(long)} c ${secrets.join(" ")} d`;
  const clean = redact(text);
  expect(clean).not.toContain("(a+)+");
  expect(clean).not.toContain("secret-");
  expect(clean.replaceAll("[secret]", "").replace(/\s+/g, " ")).toBe('a b "" c d');
});

test("an impossible tool name is truncated in the audit log", async () => {
  await using run = await withTelemetry();
  run.telemetry.audit.executed({
    caller: "c",
    tenant: "default",
    source: "c",
    conversationId: "",
    sessionId: "",
    runId: "run-1",
    toolName: "x".repeat(100_000),
    toolCallId: "1",
    argumentsDigest: "",
    outcome: "UNKNOWN_TOOL",
    latencyMs: 1,
    traceId: "",
  });
  await run.telemetry.audit.close();
  const line = readFileSync(run.auditFile, "utf8");
  expect(line.length).toBeLessThan(1000);
  expect(JSON.parse(line)).toMatchObject({ run_id: "run-1", outcome: "UNKNOWN_TOOL" });
});

test("of temporary secrets the latest 256 are hidden, in addition to all others", () => {
  const { redact, hide, hideToken } = createRedactor(["configured"]);
  hide("for good");
  for (let number = 0; number < 300; number += 1) hideToken(`token-${String(number).padStart(3, "0")}`);
  expect(redact("configured, for good, token-299, token-044")).toBe("[secret], [secret], [secret], [secret]");
  expect(redact("token-043")).toBe("token-043");
});
