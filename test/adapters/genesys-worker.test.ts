import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { type Job, JobSchema } from "../../gen/jackfield/v1/jobs_pb.ts";
import { createGenesysAdapter } from "../../src/adapters/genesys/index.ts";
import { Secret } from "../../src/secret.ts";
import { testRequirement } from "../support/test-requirement.ts";
import { startAdapter, type AdapterTestOptions } from "./start-adapter.ts";

const path = "/webhook/tool-calls";

function worker(options: Partial<AdapterTestOptions> & { canDeliver?: boolean } = {}) {
  const adapter = createGenesysAdapter({
    settings: { answerWithinMs: 55_000, sanitize: "text", maxOutput: 65_536, webhookKey: new Secret("right") },
    callsPerRequest: 64,
    canDeliver: options.canDeliver ?? true,
  });
  return startAdapter({ ...options, adapter });
}

const key = { "x-api-key": "right" };
const call = (id: string, input: unknown = "{}") => ({
  id,
  type: "function",
  function: { name: "search_inventory", arguments: input },
});
const good = { run_id: "run-1", tool_calls: [call("a", '{"sku":"AB-123"}'), call("b", "")] };

function stored(jobs: Job[]): NonNullable<AdapterTestOptions["submit"]> {
  return (job) => {
    jobs.push(job);
    return create(JobSchema, { ...job, id: "digest-of-the-batch" });
  };
}

describe("the AI Gateway's webhook", () => {
  testRequirement(
    ["001.1", "001.3", "001.11"],
    "acknowledges a batch with its job, the same for a repeat",
    async () => {
      const jobs: Job[] = [];
      await using app = await worker({ submit: stored(jobs) });
      for (let round = 0; round < 2; round += 1) {
        const response = await app.post(path, good, key);
        expect([response.status, await response.text()]).toEqual([202, '{"status":"accepted"}']);
        expect(response.headers.get("jackfield-job-id")).toBe("digest-of-the-batch");
      }
      const [first, second] = jobs;
      expect(first).toMatchObject({
        id: "",
        source: "genesys",
        context: { runId: "run-1", source: "genesys" },
        calls: [
          { id: "a", name: "search_inventory", input: { case: "argumentsJson", value: '{"sku":"AB-123"}' } },
          { id: "b", name: "search_inventory", input: { case: "argumentsJson", value: "" } },
        ],
      });
      expect(second).toEqual(first);
    },
  );

  testRequirement("001.2", "refuses anything but a run with calls before it is stored", async () => {
    const jobs: Job[] = [];
    await using app = await worker({ submit: stored(jobs) });
    const bad: unknown[] = [
      {},
      null,
      [],
      { tool_calls: good.tool_calls },
      { ...good, run_id: "" },
      { ...good, run_id: 5 },
      { ...good, tool_calls: [] },
      { ...good, tool_calls: {} },
      { ...good, tool_calls: [null] },
      { ...good, tool_calls: [{ id: "a", function: { name: "x" } }] },
      { ...good, tool_calls: [{ id: "a", function: { arguments: "{}" } }] },
      { ...good, tool_calls: [{ function: { name: "x", arguments: "{}" } }] },
      { ...good, tool_calls: [call("x".repeat(257))] },
    ];
    for (const body of bad) {
      const response = await app.post(path, body, key);
      expect([response.status, await response.text()]).toEqual([
        400,
        '{"error":"Invalid payload structure. Expected run_id and tool_calls array."}',
      ]);
    }
    expect(jobs).toEqual([]);
  });

  test("stores arguments given as an object as text, and keeps invalid ones invalid", async () => {
    const jobs: Job[] = [];
    await using app = await worker({ submit: stored(jobs) });
    const deep = `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`;
    const inputs = ['{"sku":"AB-1"}', '{"n":1e400}', '{"__proto__":{"x":1}}', "5", "false", "[1]", deep];
    for (const [index, text] of inputs.entries()) {
      const body = `{"run_id":"r","tool_calls":[{"id":"${index}","function":{"name":"t","arguments":${text}}}]}`;
      expect((await app.post(path, body, key)).status).toBe(202);
    }
    const texts = jobs.map((job) => job.calls[0]?.input.value);
    expect(texts.slice(0, -1)).toEqual(['{"sku":"AB-1"}', '{"n":1e999}', '{"__proto__":{"x":1}}', "5", "false", "[1]"]);
    // Levels below the thousandth are removed; the rest is still far deeper than arguments may be.
    expect(texts.at(-1)).toMatch(/^(?:\{"a":){900}/);
  });

  testRequirement(
    "001.3",
    "answers 503 within seconds if a batch cannot be stored, so that the platform retries",
    async () => {
      const cases: [NonNullable<AdapterTestOptions["submit"]>, number, string][] = [
        [
          () => Promise.reject(new ConnectError("the store cannot be reached", Code.Unavailable)),
          503,
          '{"error":"the store cannot be reached"}',
        ],
        [() => Promise.reject(new ConnectError("too much", Code.ResourceExhausted)), 503, '{"error":"too much"}'],
        [() => new Promise(() => {}), 503, "error"],
        [() => Promise.reject(new Error("the password is hunter2")), 500, '{"error":"Internal processing error"}'],
      ];
      for (const [submit, status, text] of cases) {
        await using app = await worker({ submit, times: { storeWithinMs: 50 } });
        const response = await app.post(path, good, key);
        expect(response.status).toBe(status);
        expect(await response.text()).toContain(text);
        expect(response.headers.get("retry-after")).toBe(status === 503 ? "1" : null);
        expect(response.headers.get("jackfield-job-id")).toBeNull();
      }
    },
  );

  test("accepts nothing if results cannot be delivered, and names the missing settings", async () => {
    const jobs: Job[] = [];
    await using app = await worker({ submit: stored(jobs), canDeliver: false });
    const response = await app.post(path, good, key);
    expect(response.status).toBe(503);
    expect(await response.text()).toContain("GENESYS_CLIENT_ID");
    expect(jobs).toEqual([]);
    expect((await app.post(path, good)).status).toBe(401);
  });
});
