import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

/** What each room may import of our own code, besides itself. */
const floor0 = ["gen", "errors", "version", "secret", "settings", "timing", "loopback", "plugin"];
const json = [...floor0, "json"];
const config = [...json, "schema"];
const auth = [...config, "config"];
const telemetry = [...auth, "auth"];
const floor1 = [...telemetry, "telemetry"];
const floor2 = [...floor1, "outbound", "store"];
const executor = [...floor2, "registry", "ledger"];
const rpc = [...executor, "definitions", "executor", "jobs"];
const door = ["json", "gen", "errors", "secret", "settings", "timing", "loopback", "auth", "outbound"];
const rooms: Readonly<Record<string, readonly string[]>> = {
  gen: [],
  errors: [],
  version: [],
  secret: [],
  loopback: [],
  settings: ["plugin"],
  timing: [],
  plugin: [],
  definitions: ["gen"],
  json: floor0,
  schema: json,
  config,
  auth,
  telemetry,
  outbound: floor1,
  store: floor1,
  sandbox: ["gen", "config", "telemetry"],
  registry: floor2,
  isolation: [...floor2, "registry"],
  "remote-tools": [...floor2, "registry"],
  ledger: floor2,
  jobs: floor2,
  executor,
  rpc,
  adapters: [...door, "definitions"],
  conversations: [...door, "definitions"],
  client: ["gen"],
  toolbox: ["gen", "client", "definitions"],
};
/** The top floor joins everything below it. */
const top = new Set(["server", "app", "cli", "testing", "jackfield", "main", "program", "index"]);

const files = globSync(["src/**/*.ts", "gen/**/*.ts", "plugins/*/*.ts"], { cwd: root });

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), "utf8");
  return [...text.matchAll(/(?:from\s+|import\s*\(\s*|^import\s+)"([^"]+)"/gm)].map((match) => match[1] as string);
}

function roomOf(file: string): string {
  const [first, second = ""] = file.split("/");
  return first === "src" ? second.replace(/\.ts$/, "") : (first as string);
}

function target(file: string, specifier: string): string {
  return relative(root, normalize(join(root, dirname(file), specifier)));
}

test("the walk finds the sources", () => {
  expect(files.length).toBeGreaterThan(150);
});

describe("a room imports only rooms below it", () => {
  for (const file of files.filter((path) => !path.startsWith("plugins/"))) {
    const room = roomOf(file);
    if (top.has(room)) continue;
    test(file, () => {
      const allowed = rooms[room];
      expect(
        allowed,
        `the room ${room} stands on no floor: add it to this test and to docs/architecture.md`,
      ).toBeDefined();
      const wrong = importsOf(file)
        .filter((specifier) => specifier.startsWith("."))
        .map((specifier) => roomOf(target(file, specifier)))
        .filter((other) => other !== room && !allowed?.includes(other));
      expect(wrong).toEqual([]);
    });
  }
});

test("no adapter imports another one", () => {
  const folders = files.filter((file) => /^src\/adapters\/[^/]+\//.test(file));
  expect(folders.length).toBeGreaterThan(5);
  const wrong = folders.flatMap((file) => {
    const own = file.split("/")[2];
    return importsOf(file)
      .filter((specifier) => specifier.startsWith("."))
      .map((specifier) => target(file, specifier).split("/"))
      .filter(([, room, folder, rest]) => room === "adapters" && rest !== undefined && folder !== own)
      .map((parts) => `${file} imports ${parts.join("/")}`);
  });
  expect(wrong).toEqual([]);
});

test("a plugin imports of our own code only jackfield/plugin, and its tests jackfield/testing", () => {
  const plugins = files.filter((file) => file.startsWith("plugins/"));
  expect(plugins.length).toBeGreaterThan(6);
  const wrong = plugins.flatMap((file) =>
    importsOf(file)
      .filter((specifier) => specifier.startsWith("jackfield") || target(file, specifier).startsWith(".."))
      .filter(
        (specifier) =>
          !["jackfield/plugin", ...(file.endsWith(".test.ts") ? ["jackfield/testing"] : [])].includes(specifier),
      )
      .filter((specifier) => specifier.startsWith("jackfield") || specifier.startsWith("."))
      .map((specifier) => `${file} imports ${specifier}`),
  );
  expect(wrong).toEqual([]);
});

test("the environment is read only in config and by the process", () => {
  const readers = files.filter((file) => /process\.env/.test(readFileSync(join(root, file), "utf8")));
  expect(readers.filter((file) => !/^src\/config\/|^src\/program\.ts$|\.test\.ts$/.test(file))).toEqual([]);
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
