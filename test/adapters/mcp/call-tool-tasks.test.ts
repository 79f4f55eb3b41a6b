import { createContextValues } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { Outcome } from "../../../gen/jackfield/v1/tool_pb.ts";
import { reserved } from "../../../src/adapters/mcp/protocol.ts";
import { open, result } from "./recording-clients.ts";

// Calls of tools through MCP, with clients that record the requests.

const pendingText = "The request is still being processed. Do not repeat it.";

describe("a task", () => {
  const tasks = { extensions: { [reserved.tasks]: {} } };
  const meta = { [reserved.protocolVersion]: "2026-07-28", [reserved.clientCapabilities]: tasks };

  test("is created for a pending call of a client that supports tasks", async () => {
    const { modern, requests } = open({ answer: { result: result(Outcome.PENDING, pendingText) } });
    expect((await modern({}, tasks)).result).toMatchObject({ resultType: "task", status: "working" });
    expect(requests.map(({ method, options }) => [method, options])).toMatchObject([
      ["executeTool", {}],
      ["submitJob", undefined],
    ]);
    const quick = open();
    expect((await quick.modern({}, tasks)).result).toMatchObject({ resultType: "complete" });
    expect(quick.requests).toHaveLength(1);
  });

  test("passes the trace of each request on", async () => {
    const values = createContextValues();
    const { modern, send, requests } = open({ answer: { result: result(Outcome.PENDING, pendingText) }, values });
    await modern({}, tasks);
    for (const method of ["tasks/get", "tasks/update", "tasks/cancel"]) {
      expect((await send(method, { taskId: "t", _meta: meta })).result).toMatchObject({ resultType: "complete" });
    }
    const traced = requests.filter(({ method }) => method.endsWith("Job"));
    expect(traced.map(({ method }) => method)).toEqual(["submitJob", "getJob", "getJob", "getJob", "cancelJob"]);
    for (const { options } of traced) expect(options).toEqual({ contextValues: values });
    const without = open();
    for (const method of ["tasks/get", "tasks/cancel"]) await without.send(method, { taskId: "t", _meta: meta });
    expect(new Set(without.requests.map(({ options }) => options))).toEqual(new Set([undefined]));
  });

  test("acknowledges updates and cancellations", async () => {
    const { send } = open();
    const done = {
      resultType: "complete",
      _meta: { [reserved.serverInfo]: { name: "jackfield", title: "Jackfield", version: "1" } },
    };
    for (const method of ["tasks/update", "tasks/cancel"]) {
      expect((await send(method, { taskId: "t", _meta: meta })).result).toEqual(done);
    }
  });
});
