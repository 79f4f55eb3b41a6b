import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { importPlugin } from "../../src/registry/load-plugin.ts";
import { scratchFolder } from "../support/scratch-folder.ts";

const good = `export default { apiVersion: 1, name: "work", description: "Works.", inputSchema: { type: "object" }, execute: () => 1 };`;

describe("a plugin", () => {
  test("is found as a module file, a folder or a package", async () => {
    using folder = scratchFolder();
    await writeFile(join(folder.path, "index.mjs"), good);
    expect(await importPlugin(join(folder.path, "index.mjs"))).toMatchObject({ tool: { name: "work" } });
    await writeFile(join(folder.path, "package.json"), JSON.stringify({ version: "2.1.0", main: "index.mjs" }));
    expect(await importPlugin(folder.path)).toMatchObject({ tool: { name: "work" }, version: "2.1.0" });
    expect(await importPlugin("@jackfield/get-order-status")).toMatchObject({ tool: { name: "get_order_status" } });
  });

  test.each([
    ["export const x = 1;", "it has no default export: write `export default defineTool({ … })`"],
    [good.replace("apiVersion: 1, ", ""), 'its default export was not made by defineTool of "jackfield/plugin"'],
    [good.replace("apiVersion: 1", "apiVersion: 2"), "it uses version 2 of the plugin contract, and this is version 1"],
    ['throw new Error("no database");', "it cannot be loaded: no database."],
    ["export default {{", "it cannot be loaded: "],
    ["export default null;", "it has no default export"],
  ])("that is written as %j is refused with a message that names it", async (source, words) => {
    using folder = scratchFolder();
    const file = join(folder.path, "broken.mjs");
    await writeFile(file, source);
    await expect(importPlugin(file)).rejects.toThrow(`Plugin ${file}: ${words}`);
  });

  test("that is missing is refused with instructions (hazard 44)", async () => {
    using folder = scratchFolder();
    await expect(importPlugin("./nowhere")).rejects.toThrow("Plugin ./nowhere: there is no such file or folder.");
    await expect(importPlugin("@jackfield/nope")).rejects.toThrow("install it, or give a path that starts with `./`");
    await expect(importPlugin(folder.path)).rejects.toThrow("the folder contains no readable package.json");
  });
});
