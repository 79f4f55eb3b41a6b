import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import type { AddressInfo } from "node:net";
import { startTool } from "jackfield/testing";
import plugin from "./index.ts";

const calendar = createServer((request, response) => {
  const slots = request.url === "/branches/Camden/slots" ? ["2026-12-01T10:00"] : [];
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(slots));
});
before(() => new Promise<void>((resolve) => calendar.listen(0, "127.0.0.1", resolve)));
after(() => calendar.close());
const start = () =>
  startTool(plugin, { config: { baseUrl: `http://127.0.0.1:${(calendar.address() as AddressInfo).port}` } });

test("finds the next free appointment", async () => {
  await using tool = await start();
  const { outcome, value } = await tool.call({ branch: "Camden" });
  assert.deepEqual({ outcome, value }, { outcome: "OK", value: { branch: "Camden", slot: "2026-12-01T10:00" } });
});

test("tells the model what to do if there is none", async () => {
  await using tool = await start();
  const { outcome, output } = await tool.call({ branch: "Hackney" });
  assert.deepEqual(
    { outcome, output },
    { outcome: "FAILED", output: "There is no free appointment at Hackney. Offer another branch." },
  );
});
