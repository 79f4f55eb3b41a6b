import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findAuditFile, loadConfig } from "../../src/app/load-config.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

describe("the audit log of a service", () => {
  test.each<[string, Record<string, string>, string]>([
    ["", {}, ".data/audit.jsonl"],
    ["", { JACKFIELD_DATA_DIR: "own" }, "own/audit.jsonl"],
    ["", { JACKFIELD_DATA_DIR: "own", JACKFIELD_AUDIT_FILE: "a.jsonl" }, "a.jsonl"],
    ["dataDir: own", {}, "sub/own/audit.jsonl"],
    ["dataDir: own", { JACKFIELD_DATA_DIR: "own" }, "own/audit.jsonl"],
    ["{ dataDir: own, auditFile: a.jsonl }", {}, "sub/a.jsonl"],
    ["{ dataDir: own, auditFile: a.jsonl }", { JACKFIELD_DATA_DIR: "own" }, "sub/a.jsonl"],
    ["{ dataDir: own, auditFile: a.jsonl }", { JACKFIELD_AUDIT_FILE: "b.jsonl" }, "b.jsonl"],
  ])("is found where the service writes it: %j, %j", (yaml, variables, expected) => {
    using scratch = scratchFolder();
    const sources = sourcesOf(scratch.path, yaml, variables);
    expect(findAuditFile(sources)).toBe(join(scratch.path, expected));
    expect(loadConfig(sources).auditFile).toBe(join(scratch.path, expected));
  });

  test("may be stderr", () => {
    using scratch = scratchFolder();
    expect(findAuditFile(sourcesOf(scratch.path, "auditFile: '-'"))).toBe("-");
    expect(findAuditFile(sourcesOf(scratch.path, "", { JACKFIELD_AUDIT_FILE: "-" }))).toBe("-");
  });

  test("is found without the variables that only the service needs, if a variable names it", () => {
    using scratch = scratchFolder();
    const open = { HOST: "0.0.0.0" };
    expect(() => loadConfig({ env: open, cwd: scratch.path })).toThrow("HOST");
    expect(findAuditFile({ env: open, cwd: scratch.path })).toBe(join(scratch.path, ".data/audit.jsonl"));
    const secret = "credentials: { erp: { bearer: '${env:ERP_KEY}' } }";
    expect(() => findAuditFile(sourcesOf(scratch.path, secret))).toThrow("ERP_KEY");
    const sources = sourcesOf(scratch.path, secret, { JACKFIELD_AUDIT_FILE: "a.jsonl" });
    expect(findAuditFile(sources)).toBe(join(scratch.path, "a.jsonl"));
  });
});

function sourcesOf(cwd: string, yaml: string, variables: Record<string, string> = {}) {
  mkdirSync(join(cwd, "sub"), { recursive: true });
  writeFileSync(join(cwd, "sub/jackfield.yaml"), yaml);
  return { env: { JACKFIELD_CONFIG: "sub/jackfield.yaml", ...variables }, cwd };
}
