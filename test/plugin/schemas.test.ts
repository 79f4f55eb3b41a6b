import * as Type from "typebox";
import { expect, expectTypeOf, test } from "vitest";
import { z } from "zod";
import { defineTool } from "jackfield/plugin";
import { startTool } from "jackfield/testing";

const description = "Look up a city.";

test("arguments are typed and checked by a TypeBox schema", async () => {
  const plugin = defineTool({
    name: "by_typebox",
    description,
    effect: "read",
    inputSchema: Type.Object(
      { city: Type.String({ minLength: 1 }), days: Type.Optional(Type.Integer()) },
      { additionalProperties: false },
    ),
    execute(args) {
      expectTypeOf(args).toEqualTypeOf<{ city: string; days?: number }>();
      return args.city.toUpperCase();
    },
  });
  await using tool = await startTool(plugin);
  expect(await tool.call({ city: "Oslo" })).toMatchObject({ outcome: "OK", output: "OSLO" });
  expect(await tool.call({ city: "", town: "Oslo" })).toMatchObject({
    outcome: "INVALID_ARGUMENTS",
    violations: [{ path: "", message: "must NOT have additional properties: town" }, { path: "/city" }],
  });
});

test("arguments are typed and checked by a Zod schema", async () => {
  const plugin = defineTool({
    name: "by_zod",
    description,
    effect: "read",
    inputSchema: z.strictObject({ city: z.string().min(1) }),
    execute(args) {
      expectTypeOf(args).toEqualTypeOf<{ city: string }>();
      return args.city.toUpperCase();
    },
  });
  await using tool = await startTool(plugin);
  expect(await tool.call({ city: "Oslo" })).toMatchObject({ outcome: "OK", output: "OSLO" });
  expect(await tool.call({ city: "", town: "Oslo" })).toMatchObject({ outcome: "INVALID_ARGUMENTS" });
});
