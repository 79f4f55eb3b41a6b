import { execFile } from "node:child_process";
import { globSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scratchFolder } from "../../support/scratch-folder.ts";
import { startFixtureService } from "./fixture-service.ts";
import { notOurs } from "./not-ours.ts";

// Runs the official suite against a started service. It needs no network.

interface Check {
  readonly id: string;
  readonly status: "SUCCESS" | "FAILURE" | "WARNING" | "SKIPPED" | "INFO";
}

const run = promisify(execFile);
const program = join(
  dirname(createRequire(import.meta.url).resolve("@modelcontextprotocol/conformance/package.json")),
  "dist/index.js",
);

let service: Awaited<ReturnType<typeof startFixtureService>>;
beforeAll(async () => {
  service = await startFixtureService({ taskAfterMs: 100 });
});
afterAll(async () => {
  await service[Symbol.asyncDispose]();
});

/** Runs the suite and returns the ids of the checks that did not succeed, by scenario. */
async function failures(...args: string[]): Promise<{ failed: Record<string, string[]>; succeeded: number }> {
  using output = scratchFolder("jackfield-conformance");
  // It exits with 1 if anything failed; its files list the failures.
  await run(process.execPath, [program, "server", "--url", `${service.url}/mcp`, "-o", output.path, ...args]).catch(
    (error: unknown) => {
      if (!(error instanceof Error && "code" in error && error.code === 1)) throw error;
    },
  );
  const failed: Record<string, string[]> = {};
  let succeeded = 0;
  for (const file of globSync("**/checks.json", { cwd: output.path })) {
    const scenario =
      dirname(file)
        .split("/")
        .at(-1)
        ?.replace(/^server-/, "")
        .replace(/-\d{4}-\d\d-\d\dT.*$/, "") ?? "";
    const checks = JSON.parse(readFileSync(join(output.path, file), "utf8")) as Check[];
    succeeded += checks.filter(({ status }) => status === "SUCCESS").length;
    const bad = checks.filter(({ status }) => status === "FAILURE").map(({ id }) => id);
    if (bad.length > 0) failed[scenario] = [...new Set(bad)].sort();
  }
  return { failed, succeeded };
}

describe("the official conformance suite", () => {
  test(
    "of 2026-07-28: every check of tools and tasks passes, and exactly the listed others fail",
    { timeout: 180_000 },
    async () => {
      const { failed, succeeded } = await failures("--requirements", "2026-07-28");
      expect(failed).toEqual(notOurs["2026-07-28"]);
      expect(succeeded).toBeGreaterThan(140);
    },
  );

  test("of 2025-11-25", { timeout: 180_000 }, async () => {
    const { failed, succeeded } = await failures("--requirements", "2025-11-25");
    expect(failed).toEqual(notOurs["2025-11-25"]);
    expect(succeeded).toBeGreaterThan(45);
  });

  test("of 2025-06-18", { timeout: 180_000 }, async () => {
    const { failed, succeeded } = await failures("--suite", "all", "--spec-version", "2025-06-18");
    expect(failed).toEqual(notOurs["2025-06-18"]);
    expect(succeeded).toBeGreaterThan(30);
  });
});
