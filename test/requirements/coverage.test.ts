import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { demands } from "./requirements.ts";

const root = join(import.meta.dirname, "../..");

/** The ids that stand in the first argument of `verifies` in all test files. */
function citedIds(): Set<string> {
  const cited = new Set<string>();
  for (const file of globSync("test/**/*.test.ts", { cwd: root })) {
    const text = readFileSync(join(root, file), "utf8");
    for (const [, list = ""] of text.matchAll(/verifies\(\s*(\[[^\]]*\]|"[^"]*")/g)) {
      for (const [, id = ""] of list.matchAll(/"([^"]+)"/g)) cited.add(id);
    }
  }
  return cited;
}

test("every demand of the seed documents has a test that cites it", () => {
  const cited = citedIds();
  expect(Object.keys(demands).filter((id) => !cited.has(id))).toEqual([]);
});

test("no test cites a demand that does not exist", () => {
  expect([...citedIds()].filter((id) => !Object.hasOwn(demands, id))).toEqual([]);
});
