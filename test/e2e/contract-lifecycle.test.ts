import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { afterAll, beforeAll, expect, test } from "vitest";
import { rpc, until } from "../support/http-client.ts";
import type { Receiver } from "../support/receiver.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { startService, testTool } from "../support/service.ts";
import { startSeats } from "./support/contract-services.ts";

const root = join(import.meta.dirname, "../..");
let seats: Receiver;
beforeAll(async () => {
  seats = await startSeats();
});
afterAll(() => seats[Symbol.asyncDispose]());

test("gRPC health reports each service, and changes while the service drains", async () => {
  await using own = await startService({ plugins: [{ use: testTool("nap") }] });
  const definition = grpc.loadPackageDefinition(
    loadSync(join(root, "node_modules/grpc-health-check/proto/health/v1/health.proto"), { enums: String }),
  ) as unknown as {
    grpc: {
      health: {
        v1: {
          Health: new (
            address: string,
            credentials: grpc.ChannelCredentials,
          ) => grpc.Client & {
            check(request: object, done: (error: grpc.ServiceError | null, answer: { status: string }) => void): void;
          };
        };
      };
    };
  };
  const client = new definition.grpc.health.v1.Health(new URL(own.url).host, grpc.credentials.createInsecure());
  const check = (service: string) =>
    new Promise<string>((resolve) =>
      client.check({ service }, (error, answer) => resolve(error === null ? answer.status : String(error.code))),
    );
  for (const service of [
    "",
    "jackfield.v1.ToolExecutor",
    "jackfield.v1.ToolRegistry",
    "jackfield.v1.Jobs",
    "jackfield.v1.Conversations",
  ]) {
    expect([service, await check(service)]).toEqual([service, "SERVING"]);
  }
  expect(await check("jackfield.v1.Nothing")).toBe("5");
  const running = rpc(own.url, "ToolExecutor/ExecuteTool", { call: { name: "nap", arguments: { ms: 800 } } });
  await until(async () =>
    (await (await fetch(`${own.url}/metrics`)).text()).includes("jackfield_executions_running 1"),
  );
  own.jackfield.drain();
  expect(await check("")).toBe("NOT_SERVING");
  const ready = await fetch(`${own.url}/readyz`);
  expect([ready.status, ((await ready.json()) as { ready: boolean }).ready]).toEqual([503, false]);
  expect((await fetch(`${own.url}/healthz`)).status).toBe(200);
  const finished = own.jackfield.close(AbortSignal.timeout(10_000));
  const refused = await rpc(own.url, "ToolExecutor/ExecuteTool", { call: { name: "nap", arguments: { ms: 0 } } }).catch(
    () => undefined,
  );
  if (refused !== undefined) expect([refused.status, refused.body["code"]]).toEqual([503, "unavailable"]);
  expect((await running).body["result"]?.["output"]).toBe('{"slept":800}');
  client.close();
  await finished;
}, 30_000);

test("a stored answer is complete, after a restart and in a job too", async () => {
  using folder = scratchFolder();
  const options = {
    dataDir: join(folder.path, "data"),
    plugins: [{ use: testTool("book"), config: { baseUrl: seats.url } }],
  };
  const call = { call: { id: "kept", name: "book", arguments: { seat: "K" } }, context: { conversationId: "kept" } };
  const whole = {
    callId: "kept",
    outcome: "OUTCOME_OK",
    output: '{"booked":"K"}',
    value: { booked: "K" },
    attempts: 1,
  };
  {
    await using first = await startService(options);
    expect((await rpc(first.url, "ToolExecutor/ExecuteTool", call)).body["result"]).toMatchObject(whole);
    expect((await rpc(first.url, "ToolExecutor/ExecuteTool", call)).body["result"]).toMatchObject({
      ...whole,
      replayed: true,
    });
  }
  await using second = await startService(options);
  expect((await rpc(second.url, "ToolExecutor/ExecuteTool", call)).body["result"]).toMatchObject({
    ...whole,
    replayed: true,
  });
  const { callId, context } = { callId: "kept", context: call.context };
  for (const method of ["GetCall", "WaitCall"]) {
    expect((await rpc(second.url, `ToolExecutor/${method}`, { callId, context })).body).toMatchObject({
      state: "CALL_STATE_DONE",
      result: whole,
    });
  }
  await rpc(second.url, "Jobs/SubmitJob", {
    job: { id: "whole", calls: [{ id: "j", name: "book", arguments: { seat: "J" } }] },
  });
  const job = await until(async () => {
    const { body } = await rpc(second.url, "Jobs/GetJob", { id: "whole" });
    return body["job"]?.["state"] === "JOB_STATE_DONE" && body["job"];
  });
  expect(job).toMatchObject({ results: [{ callId: "j", value: { booked: "J" } }] });
}, 30_000);
