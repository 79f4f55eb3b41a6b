import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, test } from "vitest";
import { drawFault, faultPlanFrom } from "../../src/cli/sim/fault-plan.ts";
import { type AcknowledgedBatch, findingsFrom } from "../../src/cli/sim/history.ts";
import type { ReceivedDelivery } from "../../src/cli/sim/receiver.ts";
import { sampleCalls } from "../../src/cli/sim/sample-calls.ts";
import { createTraffic } from "../../src/cli/sim/traffic.ts";
import { createRandom } from "../../src/sandbox/random.ts";
import { startService } from "../e2e/support/service.ts";
import { freePort } from "../support/free-port.ts";
import { jackfield } from "./command-line.ts";

const batch: AcknowledgedBatch = { runId: "run", jobId: "job", callIds: ["a"] };
const taken: ReceivedDelivery = {
  runId: "run",
  key: "job",
  at: 0,
  status: 200,
  fault: undefined,
  body: JSON.stringify({ tool_calls: [{ tool_call_id: "a", output: "{}" }] }),
};
const effect = { effect: "write", callId: "a", key: "k" } as const;

describe("the checker", () => {
  test("finds nothing if every promise was kept", () => {
    const history = {
      acknowledged: [batch, batch],
      deliveries: [{ ...taken, status: 503, fault: "503" as const }, taken, taken],
      effects: [effect],
    };
    expect(findingsFrom(history)).toEqual({ acknowledged: 1, delivered: 1, refused: 0, repeated: 1, faults: [] });
  });

  test.each([
    ["a job that was never delivered", { deliveries: [] }, "was acknowledged and never delivered (0 tries)"],
    ["a job that was only tried", { deliveries: [{ ...taken, status: 503 }] }, "never delivered (1 tries)"],
    ["a delivery to another run", { deliveries: [{ ...taken, runId: "other" }] }, "to the run other instead of run"],
    [
      "a delivery of other calls",
      { acknowledged: [{ ...batch, callIds: ["a", "b"] }] },
      "with the calls a instead of a, b",
    ],
    [
      "a second delivery with another body",
      { deliveries: [taken, { ...taken, body: taken.body.replace("{}", "[]") }] },
      "2 different bodies",
    ],
    [
      "one run as two jobs",
      { acknowledged: [batch, { ...batch, jobId: "two" }], deliveries: [taken, { ...taken, key: "two" }] },
      "two jobs",
    ],
    ["a delivery without a key", { acknowledged: [], deliveries: [{ ...taken, key: "" }] }, "no Idempotency-Key"],
    ["a write that took effect twice", { effects: [effect, effect] }, "took effect 2 times"],
    [
      "a call with two keys",
      {
        effects: [
          { ...effect, effect: "idempotent" as const },
          { ...effect, effect: "idempotent" as const, key: "l" },
        ],
      },
      "2 different keys",
    ],
  ])("finds %s", (_what, over, words) => {
    const { faults } = findingsFrom({ acknowledged: [batch], deliveries: [taken], ...over });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(words);
  });

  test("recognises results that the platform refused permanently", () => {
    const { refused, faults } = findingsFrom({
      acknowledged: [batch],
      deliveries: [{ ...taken, status: 403, fault: "403" }],
    });
    expect([refused, faults]).toEqual([1, []]);
  });
});

describe("the traffic", () => {
  const options = {
    total: 2000,
    mix: { runs: 6, gateway: 2, callbacks: 2 },
    duplicates: 0.2,
    malformed: 0.1,
    calls: sampleCalls,
    batch: 3,
    prefix: "p",
  };

  test("is the same for the same seed, and different for another", () => {
    const bodies = (seed: string) =>
      [...createTraffic({ ...options, random: createRandom(seed) })].map(({ body }) => body);
    expect(bodies("a")).toEqual(bodies("a"));
    expect(bodies("a")).not.toEqual(bodies("b"));
  });

  test("includes immediate and late repeats, malformed requests, and every entry point", () => {
    const shots = [...createTraffic({ ...options, random: createRandom("seed") })];
    expect(shots).toHaveLength(2000);
    const places = Map.groupBy(
      shots.map(({ id }, index) => ({ id, index })),
      ({ id }) => id,
    );
    const gaps = [...places.values()]
      .filter((list) => list.length > 1)
      .map(([first, second]) => second!.index - first!.index);
    expect(gaps.length).toBeGreaterThan(200);
    expect(Math.min(...gaps)).toBe(1);
    expect(Math.max(...gaps)).toBeGreaterThan(100);
    expect(shots.filter(({ malformed }) => malformed).length).toBeGreaterThan(100);
    for (const way of ["runs", "gateway", "callbacks"])
      expect(shots.filter((shot) => shot.entryPoint === way).length).toBeGreaterThan(200);
  });
});

describe("the fault plan", () => {
  test("injects faults at the configured rate", () => {
    const plan = faultPlanFrom("429=0.2, cut=0.1");
    const random = createRandom("seed");
    const drawn = Array.from({ length: 10_000 }, () => drawFault(plan, random));
    expect(drawn.filter((fault) => fault === "429").length / 10_000).toBeCloseTo(0.2, 1);
    expect(drawn.filter((fault) => fault === "cut").length / 10_000).toBeCloseTo(0.1, 1);
    expect(new Set(drawn)).toEqual(new Set(["429", "cut", undefined]));
  });

  test.each([
    ["teapot=1", "There is no fault"],
    ["cut", "needs a probability"],
    ["cut=2", "needs a probability"],
    ["cut=0.6,slow=0.6", "add up"],
  ])("%s is refused", (text, words) => expect(() => faultPlanFrom(text)).toThrow(words));
});

describe("jackfield sim", () => {
  test("runs a bad day against the service and reports that every promise was kept", async () => {
    const port = await freePort();
    const env = {
      GENESYS_API_BASE_URL: `http://127.0.0.1:${port}`,
      GENESYS_CLIENT_ID: "sim",
      GENESYS_CLIENT_SECRET: "sim",
    };
    await using service = await startService({ config: {}, env });
    const faults = "429=0.05,401=0.02,503=0.05,cut=0.05,403=0.02";
    const argv = [
      "sim",
      "--url",
      service.url,
      "--port",
      String(port),
      "--total",
      "300",
      "--faults",
      faults,
      "--malformed",
      "0.05",
      "--json",
    ];
    const { code, stdout } = await jackfield(argv);
    const report = JSON.parse(stdout) as {
      ok: boolean;
      faults: string[];
      acknowledged: number;
      delivered: number;
      refused: number;
      toolFailures: number;
      statuses: Record<string, number>;
    };
    expect(report.faults).toEqual([]);
    expect([code, report.ok, report.toolFailures]).toEqual([0, true, 0]);
    expect(report.acknowledged).toBeGreaterThan(100);
    expect(report.delivered + report.refused).toBe(report.acknowledged);
    expect(report.statuses["400"]).toBeGreaterThan(5);
  }, 60_000);

  test("reports a service that acknowledges and does not deliver, or breaks its guarantees", async () => {
    const server = createServer((request, response) => {
      if (request.url === "/healthz") response.end();
      else response.writeHead(202, { "jackfield-job-id": "job" }).end('{"status":"accepted"}');
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const argv = ["sim", "--url", url, "--total", "20", "--settle", "0"];
    const elsewhere = await jackfield([
      ...argv,
      "--port",
      String(await freePort()),
      "--mix",
      "runs=1",
      "--malformed",
      "0",
    ]);
    expect(elsewhere.code).toBe(2);
    expect(elsewhere.stdout).toContain("was acknowledged and never delivered");
    expect(elsewhere.stderr).toContain("Start it with GENESYS_API_BASE_URL=http://127.0.0.1:");
    const wrong = await jackfield([...argv, "--no-receive", "--mix", "callbacks=1"]);
    expect(wrong.code).toBe(2);
    expect(wrong.stdout).toContain("answered 202 instead of 200");
    server.closeAllConnections();
    server.close();
    await once(server, "close");
    const gone = await jackfield(argv);
    expect([gone.code, gone.stderr]).toEqual([3, expect.stringContaining("cannot be reached")]);
  });

  test.each([
    [["--faults", "x=1"], "There is no fault"],
    [["--mix", "runs=0"], "One weight must be more than 0"],
    [["--call", "tool={"], "are not JSON"],
    [["--duplicates", "2"], "share from 0 to 1"],
  ])("%s is refused with a message", async (flags, words) => {
    const { code, stderr } = await jackfield(["sim", ...flags]);
    expect([code, stderr]).toEqual([1, expect.stringContaining(words)]);
  });
});
