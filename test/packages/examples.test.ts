import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createProject, type Project, tarball } from "./project.ts";

// Runs the examples like somebody who has copied them into a project of their own.

const examples = join(import.meta.dirname, "../../examples");

let project: Project;
beforeAll(() => {
  project = createProject();
  for (const name of ["client-typescript", "adapter", "plugin", "embedding"]) {
    cpSync(join(examples, name), join(project.path, name), { recursive: true });
  }
  const packages = ["jackfield", "jackfield-client", "jackfield-get-order-status"].map(tarball);
  project.install(...packages, "typescript@7.0.2", "@types/node@26.6.6");
}, 120_000);
afterAll(() => project[Symbol.dispose](), 120_000);

test("the client in TypeScript calls a tool, and gets the stored answer the second time", async () => {
  await using service = await project.serve();
  const output = project.run("node", "client-typescript/client.ts", service.url, "ORD-1001");
  expect(output.trim().split("\n")).toEqual([
    expect.stringMatching(/^\d+ tools: .*get_order_status/),
    expect.stringMatching(/^first: \{"order_id":"ORD-1001","status":"shipped",.*\} \(replayed: false\)$/),
    expect.stringMatching(/^second: \{"order_id":"ORD-1001","status":"shipped",.*\} \(replayed: true\)$/),
    "ORD-1001: OK",
    expect.stringMatching(/^ORD-9999: External API returned 404/),
    "2 results",
  ]);
}, 60_000);

test("the adapter answers its platform, and finds an action again", async () => {
  await using service = await project.serve();
  await using adapter = await project.start(["node", "adapter/adapter.ts", service.url], "listening on");
  const url = /listening on (\S+)/.exec(adapter.output())?.[1] ?? "";
  const action = { ref: "a-1", tool: "get_order_status", input: { order_id: "ORD-1001" } };
  const body = JSON.stringify({ ticket: "T-1", action });
  const answer = await fetch(`${url}/desk/actions`, { method: "POST", body });
  expect(answer.status).toBe(200);
  const expected = { ref: "a-1", ok: true, text: expect.stringContaining('"status":"shipped"') as string };
  expect(await answer.json()).toEqual(expected);
  const unknown = JSON.stringify({ ticket: "T-1", action: { ...action, ref: "a-2", tool: "nothing" } });
  const refused = await fetch(`${url}/desk/actions`, { method: "POST", body: unknown });
  expect(await refused.json()).toEqual({ ref: "a-2", ok: false, text: "Unknown tool: nothing" });
  const found = await fetch(`${url}/desk/actions/T-1/a-1`);
  expect(await found.json()).toEqual(expected);
}, 60_000);

test("the service runs embedded in a program", () => {
  const output = project.run("node", "embedding/main.ts");
  expect(output.split("\n").filter((line) => !line.startsWith('{"level"'))).toEqual([
    expect.stringMatching(/^listening on http:/),
    '{"branch":"Camden","slot":"2026-12-01T10:00"}',
    "There is no free appointment at Hackney. Offer another branch.",
    "",
  ]);
}, 60_000);

test("the plugin is tested and typed, and is served from its own package", () => {
  expect(project.run("npm", "test", "--prefix", "plugin")).toMatch(/pass 2\n[^]*fail 0\n/);
  const packed = project.run("sh", "-c", "cd plugin && npm pack --silent").trim();
  project.install(`./plugin/${packed}`);
  writeFileSync(
    join(project.path, "jackfield.yaml"),
    'plugins: [{ use: find-slot, config: { baseUrl: "https://calendar.example.com" } }]\n',
  );
  expect(project.run("npx", "jackfield", "check")).toMatch(/find_slot.*read/);
  expect(readFileSync(join(project.path, "node_modules/find-slot/dist/index.d.ts"), "utf8")).toContain("branch");
}, 60_000);
