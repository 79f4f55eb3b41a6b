import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  adapterViolations,
  floorViolations,
  importCycles,
  loadedBy,
  longFiles,
  maxLines,
  pluginViolations,
  type Sources,
} from "./support/architecture.ts";

const root = join(import.meta.dirname, "..");

/** Our own rooms that each room may import, besides itself. */
const floor0 = [
  "gen",
  "errors",
  "error-message",
  "version",
  "secret",
  "settings",
  "timing",
  "loopback",
  "linked-list",
  "plugin",
];
const json = [...floor0, "json"];
const config = [...json, "protobuf", "schema"];
const auth = [...config, "config"];
const telemetry = [...auth, "auth"];
const floor1 = [...telemetry, "telemetry"];
const floor2 = [...floor1, "outbound", "store"];
const executor = [...floor2, "registry", "ledger"];
const rpc = [...executor, "definitions", "executor", "jobs"];
const door = [
  "json",
  "gen",
  "errors",
  "error-message",
  "secret",
  "settings",
  "timing",
  "loopback",
  "linked-list",
  "auth",
  "outbound",
];
const rooms: Readonly<Record<string, readonly string[]>> = {
  gen: [],
  errors: [],
  "error-message": [],
  version: [],
  secret: [],
  loopback: [],
  settings: ["plugin"],
  timing: [],
  "linked-list": [],
  plugin: [],
  definitions: ["gen"],
  json: floor0,
  protobuf: [],
  schema: json,
  config,
  auth,
  telemetry,
  outbound: floor1,
  store: floor1,
  sandbox: ["gen", "config", "telemetry"],
  registry: floor2,
  isolation: [...floor2, "registry"],
  "remote-tools": [...floor2, "registry", "definitions"],
  ledger: floor2,
  jobs: floor2,
  executor,
  rpc,
  adapters: [...door, "definitions"],
  conversations: [...door, "definitions"],
  client: ["gen"],
  toolbox: ["gen", "client", "definitions"],
};
/** Of these rooms, adapters and conversations may import only types. */
const typesOnly = { conversations: ["auth"] };
/** The top floor joins everything below it. */
const top = new Set(["server", "app", "cli", "testing", "jackfield", "main", "program", "index"]);

const files = globSync(["src/**/*.ts", "gen/**/*.ts", "plugins/*/*.ts"], { cwd: root });
const sources: Sources = new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")]));

test("the source files are found", () => {
  expect(files.length).toBeGreaterThan(150);
});

test("a room imports only rooms below it", () => {
  expect(floorViolations(sources, rooms, top, typesOnly)).toEqual([]);
});

test("no adapter imports another one", () => {
  expect(files.filter((file) => /^src\/adapters\/[^/]+\//.test(file)).length).toBeGreaterThan(5);
  expect(adapterViolations(sources)).toEqual([]);
});

test("a plugin imports only jackfield/plugin of our code, and its tests jackfield/testing", () => {
  expect(files.filter((file) => file.startsWith("plugins/")).length).toBeGreaterThan(6);
  expect(pluginViolations(sources)).toEqual([]);
});

test("no files import each other in a cycle, not even for types", () => {
  expect(importCycles(sources)).toEqual([]);
});

test(`no file has more than ${maxLines} lines, whether source or test`, () => {
  const others = globSync(["{test,bench,scripts,packages}/**/*.ts"], {
    cwd: root,
    exclude: ["**/node_modules/**", "**/dist/**"],
  });
  expect(others.length).toBeGreaterThan(300);
  expect(longFiles(new Map(others.map((file) => [file, readFileSync(join(root, file), "utf8")])))).toEqual([]);
  expect(longFiles(sources)).toEqual([]);
});

test("no room below the adapters names a platform", () => {
  const named = files.filter(
    (file) =>
      /^src\/(?:config|ledger|jobs|app|telemetry|executor|rpc|registry|store)\//.test(file) &&
      /genesys|cognigy/i.test((sources.get(file) ?? "").replaceAll("genesys.llm.gateway", "")),
  );
  expect(named).toEqual([]);
});

describe("a wrong import is detected", () => {
  const one = (file: string, text: string): Sources => new Map([[file, text]]);

  test.each([
    ["src/ledger/x.ts", 'import { a } from "../registry/registry.ts";'],
    ["src/adapters/acme/index.ts", 'import type { Telemetry } from "../../telemetry/telemetry.ts";'],
    ["src/adapters/acme/index.ts", 'import { x } from "../../config/values.ts";'],
    ["src/conversations/x.ts", 'import { createKeyMatcher } from "../auth/header-keys.ts";'],
    ["src/config/x.ts", 'const x = await import("../auth/caller.ts");'],
    ["src/config/x.ts", 'export { x } from "../outbound/http.ts";'],
    ["src/config/x.ts", 'import {\n  a,\n  type B,\n} from "../executor/executor.ts";'],
    ["src/newroom/x.ts", ""],
  ])("in %s: %s", (file, text) => {
    expect(floorViolations(one(file, text), rooms, top, typesOnly)).toHaveLength(1);
  });

  test("of another adapter, by a plugin, in a cycle, in a long file", () => {
    const wrong = one("src/adapters/acme/index.ts", 'import { a } from "../genesys/index.ts";');
    expect(adapterViolations(wrong)).toHaveLength(1);
    for (const specifier of [
      "../../src/executor/executor.ts",
      "../get-order-status/index.ts",
      "jackfield",
      "jackfield/testing",
      "@jackfield/get-weather",
    ]) {
      expect(pluginViolations(one("plugins/acme/index.ts", `import { a } from "${specifier}";`))).toHaveLength(1);
    }
    expect(pluginViolations(one("plugins/acme/index.ts", 'import { a } from "./part.ts";'))).toEqual([]);
    const circle = new Map([
      ["src/a/one.ts", 'import type { Two } from "./two.ts";'],
      ["src/a/two.ts", 'import type { Three } from "../b/three.ts";'],
      ["src/b/three.ts", 'import type { One } from "../a/one.ts";'],
    ]);
    expect(importCycles(circle)).toHaveLength(1);
    circle.set("src/b/three.ts", "");
    expect(importCycles(circle)).toEqual([]);
    expect(longFiles(one("src/a/one.ts", "\n".repeat(maxLines + 1)))).toHaveLength(1);
  });
});

test("optional client libraries of engines are loaded only if an engine is used", () => {
  const atOnce = loadedBy("src/program.ts", sources);
  expect([...atOnce]).toContain("src/app/open-stores.ts");
  expect([...atOnce]).not.toContain("ioredis");
  expect([...atOnce]).not.toContain("pg");
  expect([...loadedBy("src/store/redis.ts", sources)]).toContain("ioredis");
});

test("the sandbox is loaded only if it plays a part", () => {
  const atOnce = [...loadedBy("src/program.ts", sources)];
  expect(atOnce).toContain("src/jackfield.ts");
  expect(atOnce.filter((file) => file.startsWith("src/sandbox/"))).toEqual([]);
});

test("threads and processes of the service load no package at their start, which would delay its own", () => {
  for (const entry of [
    "store/sqlite-worker",
    "isolation/process-main",
    "isolation/thread-main",
    "isolation/watch-main",
  ]) {
    const loaded = [...loadedBy(`src/${entry}.ts`, sources)];
    expect(loaded).toContain(`src/${entry}.ts`);
    expect(loaded.filter((one) => !one.startsWith("src/") && !one.startsWith("node:"))).toEqual([]);
  }
});

test("the environment is read only in config and by the process", () => {
  const readers = files.filter((file) => /process\.env/.test(readFileSync(join(root, file), "utf8")));
  expect(readers.filter((file) => !/^src\/config\/|^src\/(?:main|program)\.ts$|\.test\.ts$/.test(file))).toEqual([]);
});

test("no folder is named after a construct", () => {
  const named = files
    .filter((file) => !file.startsWith("src/rpc/services/"))
    .flatMap((file) => file.split("/").slice(0, -1));
  expect(
    named.filter((name) =>
      /^(types|utils?|helpers?|common|classes|managers?|handlers?|services?|interfaces)$/.test(name),
    ),
  ).toEqual([]);
});
