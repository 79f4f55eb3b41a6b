import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { startService } from "../support/service.ts";

const client = join(import.meta.dirname, "../../examples/client-python/client.py");
const run = promisify(execFile);

test("the client in Python calls a tool, and gets the stored answer the second time", async () => {
  await using service = await startService();
  const { stdout } = await run("python3", [client, service.url, "ORD-1001"]);
  expect(stdout.trim().split("\n")).toEqual([
    expect.stringMatching(/^first: OUTCOME_OK \{"order_id":"ORD-1001","status":"shipped",.*\} \(replayed: False\)$/),
    expect.stringMatching(/^second: OUTCOME_OK \{"order_id":"ORD-1001","status":"shipped",.*\} \(replayed: True\)$/),
  ]);
});

test("it prints the reason for a refused request", async () => {
  await using service = await startService({ env: { JACKFIELD_API_KEYS: "crm:s3cret" } });
  await expect(run("python3", [client, service.url])).rejects.toThrow(/unauthenticated: a valid key is needed/);
  const env = { ...process.env, JACKFIELD_API_KEY: "s3cret" };
  expect((await run("python3", [client, service.url], { env })).stdout).toContain("OUTCOME_OK");
});
