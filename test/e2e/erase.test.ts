import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Code } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { createJackfieldClient, JobState } from "../../src/client.ts";
import { jackfield } from "../cli/command-line.ts";
import { startReceiver } from "../support/receiver.ts";
import { startService, testTool } from "../support/service.ts";

test("a conversation is erased on request: calls, answers in memory and jobs, of its tenant and source only", async () => {
  await using office = await startReceiver();
  await using service = await startService({
    plugins: [{ use: testTool("book"), config: { baseUrl: office.url } }, { use: testTool("echo") }],
    env: { JACKFIELD_PRIVATE_ADDRESSES: "127.0.0.1" },
    yaml: {
      callers: [
        { name: "root", keys: ["root-key"], scopes: ["admin"] },
        { name: "plain", keys: ["plain-key"], scopes: ["tools:execute", "jobs:read"] },
        { name: "eraser", keys: ["eraser-key"], scopes: ["calls:erase"] },
        { name: "stranger", tenant: "other", keys: ["stranger-key"], scopes: ["calls:erase"] },
      ],
    },
  });
  const { url } = service;
  const as = (name: string) => createJackfieldClient({ baseUrl: url, apiKey: `${name}-key` });
  const root = as("root");
  const book = (id: string, conversationId: string, seat: string) =>
    root.executor.executeTool({
      call: { id, name: "book", input: { case: "arguments", value: { seat } } },
      context: { conversationId },
    });
  const booked = () => office.received.length;
  await book("b1", "c1", "1A");
  await book("b2", "c2", "2A");
  await root.executor.executeTool({ call: { id: "e1", name: "echo" }, context: { conversationId: "c1" } });
  const { job } = await root.jobs.submitJob({
    job: {
      calls: [{ id: "j1", name: "book", input: { case: "arguments", value: { seat: "3A" } } }],
      context: { conversationId: "c1" },
    },
  });
  const id = job?.id ?? "";
  await expect.poll(async () => (await root.jobs.getJob({ id })).job?.state).toBe(JobState.DONE);
  expect(booked()).toBe(3);
  expect((await book("b1", "c1", "1A")).result?.replayed).toBe(true);

  const conversationId = "c1";
  const refused = (client: ReturnType<typeof as>, request: object) => client.calls.eraseConversation(request);
  await expect(refused(as("plain"), { conversationId })).rejects.toMatchObject({ code: Code.PermissionDenied });
  for (const request of [{}, { source: "root" }, { conversationId: "x".repeat(257) }]) {
    await expect(refused(as("eraser"), request)).rejects.toMatchObject({ code: Code.InvalidArgument });
  }
  for (const nothing of [
    await as("stranger").calls.eraseConversation({ conversationId }),
    await as("eraser").calls.eraseConversation({ conversationId, source: "genesys" }),
    await as("eraser").calls.eraseConversation({ conversationId, runId: "r" }),
  ]) {
    expect([nothing.calls, nothing.jobs]).toEqual([0, 0]);
  }
  expect((await root.executor.getCall({ callId: "b1", context: { conversationId } })).result?.outcome).toBe(1);

  const erased = await jackfield([
    "erase",
    "--conversation",
    "c1",
    "--source",
    "root",
    "--url",
    url,
    "--key",
    "eraser-key",
  ]);
  expect(erased).toEqual({ code: 0, stdout: "Erased 3 calls and 1 job.\n", stderr: "" });
  for (const callId of ["b1", "e1", "j1"]) {
    await expect(root.executor.getCall({ callId, context: { conversationId } })).rejects.toMatchObject({
      code: Code.NotFound,
    });
  }
  await expect(root.jobs.getJob({ id })).rejects.toMatchObject({ code: Code.NotFound });
  expect((await book("b2", "c2", "2A")).result?.replayed).toBe(true);
  expect((await book("b1", "c1", "1A")).result?.replayed).toBe(false);
  expect(booked()).toBe(4);

  const audit = () =>
    readFileSync(join(service.dataDir, "audit.jsonl"), "utf8")
      .split("\n")
      .filter((line) => line.includes('"conversation_erased"'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  await expect.poll(() => audit().length).toBe(4);
  expect(audit().at(-1)).toMatchObject({
    caller: "eraser",
    tenant: "default",
    source: "root",
    conversation_id: "c1",
    calls: 3,
    jobs: 1,
  });
});

test("jackfield erase requires a selection", async () => {
  expect(await jackfield(["erase", "--source", "genesys"])).toEqual({
    code: 1,
    stdout: "",
    stderr: "Name what to erase: --conversation ID or --run ID.\n",
  });
});
