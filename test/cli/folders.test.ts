import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { chainStart, sealBatch } from "../../src/telemetry/audit-chain.ts";
import { scratchFolder } from "../support/scratch-folder.ts";
import { runProcess } from "../support/service.ts";
import { jackfield } from "./command-line.ts";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");

describe("audit verify", () => {
  function log(): string[] {
    let hash = chainStart;
    return [1, 2, 3].map((number) => {
      const { bytes, hash: next } = sealBatch(hash, `{"event":"e","n":${number}}`);
      hash = next;
      return bytes.toString().trimEnd();
    });
  }

  test("accepts a complete log", async () => {
    using scratch = scratchFolder();
    await writeFile(join(scratch.path, "a.jsonl"), `${log().join("\n")}\n`);
    expect(await jackfield(["audit", "verify", "a.jsonl"], { cwd: scratch.path })).toEqual({
      code: 0,
      stdout: "a.jsonl: 3 lines, none changed, added or removed.\n",
      stderr: "",
    });
  });

  test("names the first invalid line, and exits with 2", async () => {
    using scratch = scratchFolder();
    const lines = log();
    lines[1] = lines[1]!.replace('"n":2', '"n":7');
    await writeFile(join(scratch.path, "a.jsonl"), lines.join("\n"));
    const { code, stderr } = await jackfield(["audit", "verify", "a.jsonl"], { cwd: scratch.path });
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: "a.jsonl: line 2 was changed, or lines before it were added or removed.\n",
    });
    const json = await jackfield(["audit", "verify", "a.jsonl", "--json"], { cwd: scratch.path });
    expect(JSON.parse(json.stdout)).toEqual({ ok: false, lines: 3, firstBad: { from: 2, to: 2 } });
  });

  test("looks by default where the service writes", async () => {
    using scratch = scratchFolder();
    const auditFile = join(scratch.path, "a.jsonl");
    await writeFile(auditFile, `${log().join("\n")}\n`);
    expect(await jackfield(["audit", "verify"], { cwd: scratch.path, auditFile: () => auditFile })).toEqual({
      code: 0,
      stdout: `${auditFile}: 3 lines, none changed, added or removed.\n`,
      stderr: "",
    });
  });

  test("finds that place in the variables of the process", { timeout: 60_000 }, async () => {
    using scratch = scratchFolder();
    await mkdir(join(scratch.path, ".data"));
    for (const name of [".data/audit.jsonl", "own.jsonl"])
      await writeFile(join(scratch.path, name), `${log().join("\n")}\n`);
    const env = { JACKFIELD_AUDIT_FILE: "own.jsonl" };
    expect(await runProcess({ args: ["audit", "verify"], cwd: scratch.path, env })).toMatchObject({
      code: 0,
      stdout: `${join(scratch.path, "own.jsonl")}: 3 lines, none changed, added or removed.\n`,
    });
  });

  test("asks for the file if the log goes to stderr, or if the configuration cannot be read", async () => {
    expect(await jackfield(["audit", "verify"], { auditFile: () => "-" })).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "The service writes its audit log to stderr: name the file that keeps it, `jackfield audit verify FILE`.\n",
    });
    const auditFile = () => {
      throw new ConfigError(["jackfield.yaml must be YAML."]);
    };
    expect(await jackfield(["audit", "verify"], { auditFile })).toEqual({
      code: 1,
      stdout: "",
      stderr:
        "jackfield.yaml must be YAML.\n" +
        "The place of the audit log is therefore unknown: name the file, `jackfield audit verify FILE`.\n",
    });
  });

  test("names the place where no log is, and what to do", async () => {
    using scratch = scratchFolder();
    const auditFile = join(scratch.path, "none");
    expect(await jackfield(["audit", "verify"], { cwd: scratch.path, auditFile: () => auditFile })).toEqual({
      code: 1,
      stdout: "",
      stderr:
        `There is no audit log at ${auditFile}, where the service writes it with this configuration. ` +
        "Run this in the service's folder with its variables (JACKFIELD_CONFIG, JACKFIELD_DATA_DIR, JACKFIELD_AUDIT_FILE), " +
        "or name the file: `jackfield audit verify FILE`.\n",
    });
  });

  test("reports a missing file as wrong usage", async () => {
    using scratch = scratchFolder();
    expect(await jackfield(["audit", "verify", "none"], { cwd: scratch.path })).toEqual({
      code: 1,
      stdout: "",
      stderr: "The audit log none cannot be read (ENOENT).\n",
    });
  });
});

describe("new-tool", () => {
  test("writes a plugin, prints the next steps, and overwrites nothing", async () => {
    using scratch = scratchFolder();
    const { code, stdout } = await jackfield(["new-tool", "getStore-hours"], { cwd: scratch.path });
    expect(code).toBe(0);
    expect(stdout).toContain("Wrote the tool get_store_hours to get-store-hours and listed it in jackfield.yaml.");
    expect((await readdir(join(scratch.path, "get-store-hours"))).sort()).toEqual([
      "README.md",
      "index.test.ts",
      "index.ts",
      "package.json",
      "tsconfig.json",
    ]);
    expect(await readFile(join(scratch.path, "jackfield.yaml"), "utf8")).toBe("plugins:\n  - use: ./get-store-hours\n");
    expect(await jackfield(["new-tool", "get_store_hours"], { cwd: scratch.path })).toEqual({
      code: 1,
      stdout: "",
      stderr: "get-store-hours already exists: choose another name, or remove it first.\n",
    });
  });

  test.each(["", "7up", "../x", "a b", "__proto__", "x".repeat(65), "-x"])("refuses the name %j", async (name) => {
    using scratch = scratchFolder();
    const { code } = await jackfield(["new-tool", "--", name], { cwd: scratch.path });
    expect(code).toBe(1);
    expect(await readdir(scratch.path)).toEqual([]);
  });

  test("writes a package beside the bundled ones in a checkout", async () => {
    using scratch = scratchFolder();
    await mkdir(join(scratch.path, "plugins"));
    await writeFile(join(scratch.path, "package.json"), '{"name":"jackfield"}');
    const { stdout } = await jackfield(["new-tool", "say_hello", "--json"], { cwd: scratch.path });
    expect(JSON.parse(stdout)).toEqual({ name: "say_hello", folder: join("plugins", "say-hello") });
    const own = JSON.parse(await readFile(join(scratch.path, "plugins/say-hello/package.json"), "utf8")) as object;
    expect(own).toMatchObject({ name: "say-hello", private: true });
    expect(own).not.toHaveProperty("license");
    expect(await readdir(scratch.path)).not.toContain("jackfield.yaml");
  });

  test("names the package in the scope of the user's own project", async () => {
    using scratch = scratchFolder();
    await writeFile(join(scratch.path, "package.json"), '{"name":"@acme/tools"}');
    await jackfield(["new-tool", "say_hello"], { cwd: scratch.path });
    const own = JSON.parse(await readFile(join(scratch.path, "say-hello/package.json"), "utf8")) as object;
    expect(own).toMatchObject({ name: "@acme/say-hello" });
    expect(own).not.toHaveProperty("license");
  });

  test("adds the tool to the plugins that jackfield.yaml lists, and keeps the rest of the file", async () => {
    using scratch = scratchFolder();
    const file = join(scratch.path, "jackfield.yaml");
    await writeFile(file, "plugins:\n  # the first\n  - use: ./first\nlogLevel: warn\n");
    await jackfield(["new-tool", "say_hello"], { cwd: scratch.path });
    expect(await readFile(file, "utf8")).toBe(
      "plugins:\n  # the first\n  - use: ./first\n  - use: ./say-hello\nlogLevel: warn\n",
    );
  });

  test.each(["logLevel: warn\n", "plugins: [\n"])(
    "leaves a jackfield.yaml without a list of plugins unchanged: %j",
    async (text) => {
      using scratch = scratchFolder();
      await writeFile(join(scratch.path, "jackfield.yaml"), text);
      const { stdout } = await jackfield(["new-tool", "say_hello"], { cwd: scratch.path });
      expect(stdout).toContain("add `  - use: ./say-hello` under `plugins:` in jackfield.yaml");
      expect(await readFile(join(scratch.path, "jackfield.yaml"), "utf8")).toBe(text);
    },
  );

  test("writes a test that passes", { timeout: 60_000 }, async () => {
    using scratch = scratchFolder();
    await mkdir(join(scratch.path, "plugins"));
    await writeFile(join(scratch.path, "package.json"), '{"name":"jackfield"}');
    for (const name of ["node_modules", "tsconfig.json", "tsconfig.plugin.json"])
      await symlink(join(root, name), join(scratch.path, name));
    await jackfield(["new-tool", "say_hello"], { cwd: scratch.path });
    const vitest = join(root, "node_modules/vitest/vitest.mjs");
    const flags = ["run", "--config", join(root, "vitest.config.ts"), "--root", scratch.path];
    const { stdout } = await run(process.execPath, ["--conditions=@jackfield/source", vitest, ...flags], {
      cwd: scratch.path,
      env: { PATH: process.env["PATH"], NO_COLOR: "1" },
    });
    expect(stdout).toMatch(/2 passed/);
  });
});
