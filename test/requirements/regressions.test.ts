import { expect } from "vitest";
import { createHeaderAuthenticator } from "../../src/auth/header-keys.ts";
import { localCaller } from "../../src/auth/authenticator.ts";
import { Secret } from "../../src/secret.ts";
import { defineTool, path } from "../../src/plugin/index.ts";
import { startTool } from "../../src/testing/index.ts";
import { testRequirement } from "../support/test-requirement.ts";

// Faults of the original documents that must not recur, if no other test names them.

testRequirement("fault-000.path", "an id is one segment of the path, whatever it contains", () => {
  expect(path`/orders/${"../../admin"}`).toBe("/orders/..%2F..%2Fadmin");
  expect(path`/orders/${"A?x=1#y%2f"}`).toBe("/orders/A%3Fx%3D1%23y%252f");
  for (const id of ["", ".", ".."]) expect(() => path`/orders/${id}`).toThrow("cannot be used as an id");
});

testRequirement(
  "fault-003.accents",
  "letters with accents, signs and times survive unless strict is requested",
  async () => {
    const echo = defineTool({
      name: "echo",
      description: "Says what it was told.",
      inputSchema: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
      effect: "read",
      execute: ({ text }) => text,
    });
    const text = "Müller, 日本, #W2378156 at 10:30";
    await using tool = await startTool(echo);
    expect((await tool.call({ text })).output).toBe(text);
    await using strict = await startTool(echo, { sanitize: "strict" });
    expect((await strict.call({ text })).output).toBe("Mller  W2378156 at 1030");
  },
);

testRequirement(
  "fault-003.compare",
  "keys of any length are compared in constant time, and only the whole key counts",
  () => {
    const known = [{ key: new Secret("correct-horse"), value: { ...localCaller, name: "a" } }];
    const check = createHeaderAuthenticator(known, [{ name: "x-api-key" }], localCaller);
    const callerOf = (key: string) =>
      check({
        headersDistinct: { "x-api-key": [key] },
        headers: { "x-api-key": key },
        rawHeaders: ["X-Api-Key", key],
      } as never)?.name;
    expect(callerOf("correct-horse")).toBe("a");
    for (const wrong of ["", "correct", "correct-horse ", "correct-horsf", "x".repeat(10_000)])
      expect(callerOf(wrong)).toBeUndefined();
  },
);
