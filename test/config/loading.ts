import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { ConfigError } from "../../src/config/config-error.ts";
import { loadConfig } from "../../src/app/load-config.ts";

/** Makes a folder with these files, which is deleted after the test. */
export function folder(files: Record<string, string> = {}): string {
  const path = mkdtempSync(join(tmpdir(), "jackfield-config-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
  return path;
}

/** Loads the configuration of variables and a file. */
export const load = (env: Record<string, string> = {}, yaml?: string) =>
  loadConfig({ env, cwd: folder(yaml === undefined ? {} : { "jackfield.yaml": yaml }) });

/** Returns the problems of a configuration that is refused, or none. */
export function problemsOf(env: Record<string, string>, yaml?: string): readonly string[] {
  try {
    load(env, yaml);
  } catch (reason) {
    if (reason instanceof ConfigError) return reason.problems;
    throw reason;
  }
  return [];
}
