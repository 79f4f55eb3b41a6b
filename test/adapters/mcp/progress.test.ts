import { createContextValues } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Outcome } from "../../../gen/jackfield/v1/tool_pb.ts";
import { keyedContext } from "../../../src/adapters/tool-call.ts";
import { open, result } from "./recording-clients.ts";

const own = { "jackfield/idempotencyKey": "k-1", "jackfield/conversationId": "c-1" };

describe("progress", () => {
  const report = (fraction: number, message = "") => ({ case: "progress", value: { fraction, message } });
  const ended = { case: "result", value: result(Outcome.OK) };

  test("rises with each report, and has the message of the tool", async () => {
    const events = [report(0.5, "half"), report(0.2), report(-1), ended, report(0.9)];
    const values = createContextValues();
    const { call, notified, requests, signal } = open({ events, readsEvents: true, values });
    const { result: answer } = await call({ arguments: { a: 1 }, _meta: { progressToken: 0, ...own } });
    expect(answer).toMatchObject({ content: [{ text: "done" }] });
    const params = notified.map((message) => (message as { params: Record<string, unknown> }).params);
    expect(params).toEqual([
      { progressToken: 0, progress: 0.5, total: 1, message: "half" },
      { progressToken: 0, progress: expect.closeTo(0.501, 6) as number, total: 1 },
      { progressToken: 0, progress: expect.closeTo(0.502, 6) as number, total: 1 },
      { progressToken: 0, progress: 0.9, total: 1 },
    ]);
    expect(notified[0]).toMatchObject({ jsonrpc: "2.0", method: "notifications/progress" });
    expect(requests).toEqual([
      {
        method: "executeTools",
        request: {
          calls: [expect.objectContaining({ id: "k-1", name: "work" }) as object],
          context: keyedContext("c-1"),
          answerWithin: { $typeName: "google.protobuf.Duration", seconds: 1n, nanos: 500_000_000 },
        },
        options: { signal, contextValues: values },
      },
    ]);
  });

  test("is never below zero", async () => {
    const { call, notified, requests, signal } = open({ events: [report(-1), report(0), ended], readsEvents: true });
    await call({ _meta: { progressToken: "t" } });
    expect(notified).toMatchObject([{ params: { progress: 0 } }, { params: { progress: 0.001 } }]);
    expect(requests[0]?.options).toEqual({ signal });
  });

  test("needs a valid token and a client that reads events", async () => {
    for (const [readsEvents, progressToken] of [
      [true, undefined],
      [true, {}],
      [false, "t"],
      [false, 1],
    ] as const) {
      const { call, requests } = open({ readsEvents });
      await call({ _meta: { progressToken } });
      expect(requests.map(({ method }) => method)).toEqual(["executeTool"]);
    }
  });

  test("without a result at the end is an internal error", async () => {
    const { call } = open({ events: [report(0.5)], readsEvents: true });
    expect((await call({ _meta: { progressToken: 1 } })).error).toEqual({ code: -32603, message: "Internal error" });
  });
});
