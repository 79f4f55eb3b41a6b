import { expect, test } from "vitest";
import { PluginError } from "../../src/registry/plugin-error.ts";

test("a plugin error names the plugin, the tool, or both, in one sentence", () => {
  const problem = { code: "bad-definition", reason: "it has no description" } as const;
  const ofTool = new PluginError({ ...problem, tool: "work" }, { cause: 1 });
  expect(ofTool.message).toBe("Plugin work: it has no description.");
  expect(ofTool.ofPlugin("./work")).toMatchObject({
    message: "Plugin ./work, tool work: it has no description.",
    code: "bad-definition",
    plugin: "./work",
    tool: "work",
    cause: 1,
  });
  expect(new PluginError({ ...problem, plugin: "./work" }).ofPlugin("./work").message).toBe(
    "Plugin ./work: it has no description.",
  );
  expect(new PluginError(problem).message).toBe("it has no description");
});
