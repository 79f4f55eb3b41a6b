import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, globSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { createProject, diskUsage, type Project, repack, tarball } from "./project.ts";

// Installs the packages from their tarballs, without the repository.

let project: Project;
beforeAll(() => {
  project = createProject();
  project.install(tarball("jackfield"));
}, 120_000);
afterAll(() => project[Symbol.dispose](), 120_000);

test("jackfield alone takes at most 90 MB, and explains how to add a tool", () => {
  expect(diskUsage(join(project.path, "node_modules"))).toBeLessThan(90e6);
  const installed = readdirSync(join(project.path, "node_modules"));
  for (const name of ["@jackfield", "ioredis", "pg", "node"]) expect(installed).not.toContain(name);
  const report = project.run("sh", "-c", "npx jackfield check 2>&1");
  expect(report).toContain("with 0 tools");
  expect(report).toMatch(/No tool is installed: .*jackfield new-tool NAME/);
});

test("links on the package's pages lead to files of the package", () => {
  const root = join(project.path, "node_modules/jackfield");
  const pages = globSync(["*.md", "docs/**/*.md", "examples/**/*.md"], { cwd: root });
  expect(pages.length).toBeGreaterThan(10);
  const broken = pages.flatMap((page) =>
    [...readFileSync(join(root, page), "utf8").matchAll(/\]\((?!\w+:)([^)#\s]+)/g)]
      .map(([, link = ""]) => link)
      .filter((link) => !existsSync(join(root, dirname(page), link)))
      .map((link) => `${page}: ${link}`),
  );
  expect(broken).toEqual([]);
});

test("jackfield names the packages that an engine needs", { timeout: 60_000 }, () => {
  const run = (url: string) => () => project.run("env", `JACKFIELD_ENGINE_URL=${url}`, "npx", "jackfield", "serve");
  expect(run("redis://127.0.0.1:1")).toThrow(/run `npm install ioredis`/);
  expect(run("postgres://127.0.0.1:1/x")).toThrow(/run `npm install pg`/);
});

test("jackfield/plugin loads only the plugin contract", () => {
  writeFileSync(
    join(project.path, "loaded.mjs"),
    `import { registerHooks } from "node:module";
     const loaded = [];
     registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
     await import("jackfield/plugin");
     console.log(JSON.stringify(loaded));`,
  );
  const loaded = JSON.parse(project.run("node", "loaded.mjs")) as string[];
  expect(loaded.length).toBeGreaterThan(2);
  expect(loaded.filter((url) => !url.includes("/node_modules/jackfield/dist/src/plugin/"))).toEqual([]);
});

test("a new tool is tested, typed and called under the user's own name", { timeout: 180_000 }, async () => {
  expect(project.run("npx", "jackfield", "new-tool", "find_slot")).toContain("Wrote the tool find_slot to find-slot");
  for (const file of readdirSync(join(project.path, "find-slot"))) {
    expect(readFileSync(join(project.path, "find-slot", file), "utf8")).not.toMatch(/@jackfield|Apache|license/i);
  }
  expect(project.run("npm", "test", "--prefix", "find-slot")).toMatch(/pass 2\n[^]*fail 0\n/);

  project.install("--save-dev", "typescript@7.0.2", "@types/node@26.6.6");
  project.run("npx", "tsc", "-p", "find-slot");
  const file = join(project.path, "find-slot", "index.ts");
  const source = readFileSync(file, "utf8");
  writeFileSync(file, source.replace("execute({ name })", "execute({ nome })"));
  expect(() => project.run("sh", "-c", "npx tsc -p find-slot >&2")).toThrow(/Property 'nome' does not exist/);
  writeFileSync(file, source);

  await using service = await project.serve();
  const answer = project.run("npx", "jackfield", "--url", service.url, "call", "find_slot", '{"name":"Ada"}');
  expect(JSON.parse(answer)).toEqual({ greeting: "Hello, Ada!" });
});

test("the client takes at most 5 MB, contains no server code, and calls a service", { timeout: 120_000 }, async () => {
  using client = createProject();
  client.install(tarball("jackfield-client"));
  expect(diskUsage(join(client.path, "node_modules"))).toBeLessThan(5e6);
  const rooms = readdirSync(join(client.path, "node_modules/@jackfield/client/dist/src"));
  for (const room of ["executor", "registry", "ledger", "jobs", "rpc", "server", "app"])
    expect(rooms).not.toContain(room);
  await using service = await project.serve();
  writeFileSync(
    join(client.path, "list.mjs"),
    `import { createJackfieldClient } from "@jackfield/client";
     const { executor } = createJackfieldClient({ baseUrl: "${service.url}" });
     const { tools } = await executor.listTools({});
     console.log("tools:", tools.map(({ name }) => name).join(" "));`,
  );
  expect(client.run("node", "list.mjs")).toMatch(/^tools: find_slot\n/);
});

test("the bundled tools are served if they are installed, also by the next minor release", { timeout: 120_000 }, () => {
  using tools = createProject();
  using folder = scratchFolder("jackfield-next");
  const next = repack(tarball("jackfield"), folder.path, "0.2.0");
  tools.install(next, tarball("jackfield-get-weather"), tarball("jackfield-get-order-status"));
  const report = tools.run("npx", "jackfield", "check");
  expect(report).toContain("get_weather");
  expect(report).toContain("get_order_status");
  expect(tools.run("npx", "jackfield", "--version")).toContain("0.2.0");
});

test("npm start passes SIGTERM to the service", { timeout: 60_000 }, async () => {
  const port = await freePort();
  using data = scratchFolder("jackfield-start");
  const root = join(import.meta.dirname, "../..");
  const npm = spawn("npm", ["start"], {
    cwd: root,
    env: { ...process.env, PORT: String(port), JACKFIELD_DATA_DIR: data.path },
  });
  let output = "";
  npm.stdout.on("data", (chunk) => (output += String(chunk)));
  await expect.poll(() => output, { timeout: 20_000 }).toContain('"listening"');
  npm.kill("SIGTERM");
  await once(npm, "close");
  expect(output).toContain('"stopped"');
  await expect(fetch(`http://127.0.0.1:${port}/healthz`)).rejects.toThrow();
});

test("npm start without the repository's Node explains the problem", () => {
  using folder = scratchFolder("jackfield-ignore-scripts");
  const root = join(import.meta.dirname, "../..");
  mkdirSync(join(folder.path, "bin"));
  mkdirSync(join(folder.path, "src"));
  mkdirSync(join(folder.path, "node_modules/node"), { recursive: true });
  writeFileSync(join(folder.path, "package.json"), readFileSync(join(root, "package.json")));
  writeFileSync(join(folder.path, "src/main.ts"), "");
  const old = readFileSync(join(root, "bin/jackfield.js"), "utf8").replaceAll("process.versions.node", '"20.9.0"');
  writeFileSync(join(folder.path, "bin/jackfield.js"), old);
  copyFileSync(join(root, "bin/compile-cache.js"), join(folder.path, "bin/compile-cache.js"));
  // The machine's own Node may be an old one, which must get as far as the message.
  const PATH = (process.env["PATH"] ?? "").split(":").filter((path) => !path.includes("node_modules"));
  const env = { ...process.env, PATH: PATH.join(":") };
  const start = () => execFileSync("npm", ["start"], { cwd: folder.path, env, stdio: "pipe", encoding: "utf8" });
  expect(start).toThrow(/needs Node 24 or newer; this is Node 20\.9\.0\. .*`npm rebuild node --ignore-scripts=false`/);
});
