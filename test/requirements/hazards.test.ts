import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { hazards } from "./hazards.ts";

const root = join(import.meta.dirname, "../..");

/** Returns the numbers that test names cite: `(hazard 3)`, `(hazards 3, 4 and 5)`. */
function citedHazards(): Set<number> {
  const cited = new Set<number>();
  for (const file of globSync(["test/**/*.ts", "plugins/*/*.test.ts"], { cwd: root })) {
    if (file.endsWith("requirements/hazards.ts")) continue;
    for (const [list] of readFileSync(join(root, file), "utf8").matchAll(/\bhazards? \d+(?:(?:, | and )\d+)*/g)) {
      for (const [number] of list.matchAll(/\d+/g)) cited.add(Number(number));
    }
  }
  return cited;
}

test("there are 64 hazards", () => {
  expect(Object.keys(hazards).map(Number)).toEqual(Array.from({ length: 64 }, (_, index) => index + 1));
});

test("every hazard is cited by a test, or has a line that says why not", () => {
  const cited = citedHazards();
  const open = Object.entries(hazards).filter(
    ([number, hazard]) => typeof hazard === "string" && !cited.has(Number(number)),
  );
  expect(open).toEqual([]);
});

test("no test cites a hazard that does not exist, or one that is listed as without a test", () => {
  const shown = new Set(
    Object.entries(hazards).flatMap(([number, hazard]) => (typeof hazard === "string" ? [Number(number)] : [])),
  );
  expect([...citedHazards()].filter((number) => !shown.has(number))).toEqual([]);
});

test("the tests that docs/security.md names exist", () => {
  const page = readFileSync(join(root, "docs/security.md"), "utf8");
  const named = [...page.matchAll(/`((?:test|plugins)\/[^`]+\.ts)`/g)].map(([, path = ""]) => path);
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});
