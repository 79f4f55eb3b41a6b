import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requirements } from "./requirements.ts";

const root = join(import.meta.dirname, "../..");

/** Returns the ids in the first argument of `testRequirement` in all test files. */
function citedIds(): Set<string> {
  const cited = new Set<string>();
  for (const file of globSync("test/**/*.test.ts", { cwd: root })) {
    const text = readFileSync(join(root, file), "utf8");
    for (const [, list = ""] of text.matchAll(/testRequirement\(\s*(\[[^\]]*\]|"[^"]*")/g)) {
      for (const [, id = ""] of list.matchAll(/"([^"]+)"/g)) cited.add(id);
    }
  }
  return cited;
}

test("every requirement has a test that cites it", () => {
  const cited = citedIds();
  expect(Object.keys(requirements).filter((id) => !cited.has(id))).toEqual([]);
});

test("no test cites a requirement that does not exist", () => {
  expect([...citedIds()].filter((id) => !Object.hasOwn(requirements, id))).toEqual([]);
});
