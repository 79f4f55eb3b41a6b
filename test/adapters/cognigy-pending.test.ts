import { describe, expect, test } from "vitest";
import { testRequirement } from "../support/test-requirement.ts";
import { until } from "./start-adapter.ts";
import { type SimulatedTool } from "./simulated-tools.ts";
import { usual, cognigy, path } from "./start-cognigy.ts";

const callback = (name: string, args?: unknown, id = "call-1") => ({ tool_call_id: id, name, arguments: args });

async function answerOf(response: Response): Promise<[number, string]> {
  return [response.status, await response.text()];
}

describe("calls that take longer", () => {
  testRequirement(
    "003.7",
    "returns the pending text at the answer deadline, and the poll finds the answer once it is there",
    async () => {
      const release = Promise.withResolvers<void>();
      await using app = await cognigy({
        answerWithinMs: 60,
        tools: { slow: () => release.promise.then(() => ({ done: true })) },
      });
      const id = "a/b ü%2F?";
      const poll = async (callId = id) => answerOf(await fetch(`${app.url}${path}/${encodeURIComponent(callId)}`));
      expect(await poll()).toEqual([404, '{"error":"Unknown tool_call_id"}']);
      expect(await answerOf(await app.post(path, callback("slow", {}, id)))).toEqual([
        200,
        JSON.stringify({ tool_call_id: id, output: "Tool execution timed out or failed. Please retry." }),
      ]);
      expect(await poll()).toEqual([202, JSON.stringify({ tool_call_id: id, status: "pending" })]);
      release.resolve();
      await until(() => app.results.get(id));
      expect(await poll()).toEqual([200, JSON.stringify({ tool_call_id: id, output: '{"done":true}' })]);
      expect(await poll("😀".repeat(256))).toEqual([404, '{"error":"Unknown tool_call_id"}']);
      expect(await poll("x".repeat(257))).toEqual([404, '{"error":"Unknown tool_call_id"}']);
      expect((await fetch(`${app.url}${path}/x`, { method: "DELETE" })).status).toBe(405);
    },
  );

  test("frees all slots of outlived calls as soon as the calls have ended", async () => {
    const release = Promise.withResolvers<void>();
    const slow: SimulatedTool = () => release.promise.then(() => ({}));
    const app = await cognigy({ answerWithinMs: 60, maxPending: 100, tools: { ...usual, slow } });
    await using _ = app;
    const ids = Array.from({ length: 100 }, (_, n) => `${n}`);
    await Promise.all(ids.map((id) => app.post(path, callback("slow", {}, id))));
    expect((await app.post(path, callback("echo", {}, "beyond"))).status).toBe(503);
    release.resolve();
    await until(() => ids.every((id) => app.results.get(id) !== undefined));
    await new Promise(setImmediate);
    const answers = await Promise.all(ids.map((id) => app.post(path, callback("echo", {}, `again-${id}`))));
    expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
  });

  testRequirement("003.10", "measures a call that outlives its answer once, when it ends", async () => {
    const release = Promise.withResolvers<void>();
    await using app = await cognigy({ answerWithinMs: 60, tools: { slow: () => release.promise.then(() => ({})) } });
    for (let n = 0; n < 2; n += 1) expect((await app.post(path, callback("slow", {}, "late"))).status).toBe(200);
    const metrics = async (): Promise<string> => {
      const text = await app.telemetry.prometheus();
      return text
        .split("\n")
        .filter((line) => /^cognigy.*(_total|_count)/.test(line))
        .join("\n");
    };
    const invocations = /cognigy_tool_invocations_total\{[^}]*status="fallback"[^}]*\} 2/;
    expect(await metrics()).toMatch(invocations);
    expect(await metrics()).not.toContain("duration");
    release.resolve();
    await until(async () => (await metrics()).includes("duration"));
    expect(await metrics()).toMatch(/duration_seconds_count(\{[^}]*\})? 1/);
    expect(await metrics()).toMatch(/cost_attribution_total\{[^}]*status="success"[^}]*\} 1/);
    expect(await metrics()).toMatch(invocations);
  });

  testRequirement("003.8", "refuses calls beyond the limit of pending ones until calls have ended", async () => {
    const release = Promise.withResolvers<void>();
    const slow: SimulatedTool = () => release.promise.then(() => ({}));
    await using app = await cognigy({
      answerWithinMs: 40,
      maxPending: 2,
      tools: { ...usual, slow },
    });
    await Promise.all([app.post(path, callback("slow", {}, "1")), app.post(path, callback("slow", {}, "2"))]);
    const beyond = await app.post(path, callback("echo", {}, "3"));
    expect(beyond.headers.get("retry-after")).toBe("1");
    expect(await answerOf(beyond)).toEqual([
      503,
      '{"error":"Correlation context limit reached. Clear stale entries."}',
    ]);
    expect((await app.post(path, callback("slow", {}, "1"))).status).toBe(200);
    release.resolve();
    await until(async () => (await app.post(path, callback("echo", {}, "4"))).status === 200);
  });

  testRequirement(
    ["003.8", "fault-003.cleanup"],
    "counts waiting requests as pending, and failed ones not",
    async () => {
      const release = Promise.withResolvers<void>();
      await using app = await cognigy({
        maxPending: 1,
        tools: { ...usual, slow: () => release.promise.then(() => ({})) },
      });
      for (let n = 0; n < 3; n += 1) expect((await app.post(path, callback("boom"))).status).toBe(500);
      const waiting = app.post(path, callback("slow", {}, "1"));
      await until(() => app.seen.length === 4);
      expect((await app.post(path, callback("echo", {}, "2"))).status).toBe(503);
      release.resolve();
      expect((await waiting).status).toBe(200);
      expect((await app.post(path, callback("echo", {}, "2"))).status).toBe(200);
    },
  );
});
