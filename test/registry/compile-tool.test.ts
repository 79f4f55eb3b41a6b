import { describe, expect, test } from "vitest";
import type { Tool } from "../../src/plugin/tool.ts";
import { compileTool } from "../../src/registry/compile-tool.ts";
import type { ToolSettings } from "../../src/registry/compile-tool.ts";
import { aTool } from "../support/executor.ts";
import { testRequirement } from "../support/test-requirement.ts";

const plain: ToolSettings = {
  config: {},
  secretPaths: [],
  limits: {},
  sanitize: undefined,
  isolation: undefined,
  required: false,
  repeatWindowMs: undefined,
};
const compile = (change: Partial<Tool> = {}, settings: Partial<ToolSettings> = {}) =>
  compileTool(
    { ...aTool({ execute: () => 1 }), ...change },
    { ...plain, ...settings },
    { use: "./work", version: "1.0.0", bundled: false },
  );

describe("a tool", () => {
  testRequirement("002.2", "is refused in one sentence that names it if anything is wrong with it", () => {
    const wrong: [Partial<Tool>, string][] = [
      [{ name: "a b" }, "its name must be 1 to 64 letters"],
      [{ description: "" }, "it has no description"],
      [{ inputSchema: undefined }, "it has no inputSchema"],
      [{ execute: undefined }, "it has no execute function"],
      [{ effect: "delete" as never }, 'its effect is "delete"; read, idempotent or write was expected'],
      [{ timeoutMs: 0 }, "its timeoutMs is 0; a whole number from 1 to 2147483647 was expected"],
      [{ timeoutMs: 10_000 / 3 }, "its timeoutMs is 3333.3333333333335"],
      [{ timeoutMs: "5" as never }, "its timeoutMs is '5'"],
      [{ limits: { concurrency: 0 } }, "its limits.concurrency is 0; a whole number from 1 to 100000 was expected"],
      [{ limits: { queue: Number.NaN } }, "its limits.queue is NaN"],
      [{ retry: { retries: 1.5 } }, "its retry.retries is 1.5"],
      [{ retry: { baseMs: -1 } }, "its retry.baseMs is -1"],
      [{ retry: { maxMs: Infinity } }, "its retry.maxMs is Infinity"],
      [{ annotations: { danger: true } as never }, "its annotations contain danger; known are title, destructive"],
      [{ annotations: { title: 1 as never } }, "its annotation title must be a string"],
      [{ inputSchema: { type: "object", required: ["x"] } }, 'inputSchema cannot be used: /required names "x"'],
      [
        { inputSchema: { type: "array" } },
        'inputSchema cannot be used: its type is "array", and arguments are always an object: write "object" or leave it out',
      ],
      [{ inputSchema: { type: ["null", "string"] } }, 'its type is ["null","string"]'],
      [{ outputSchema: { type: "dict" } }, "outputSchema cannot be used"],
      [
        { configSchema: { type: "object", properties: { key: {} }, required: ["key"] } },
        "its configuration does not fit: config must have required property 'key'",
      ],
    ];
    for (const [change, words] of wrong) {
      expect(() => compile(change)).toThrow(words);
      expect(() => compile(change)).toThrow(/^Plugin [\w ]+/);
    }
  });

  test("may leave out the type of its arguments, and may take other types as well", () => {
    for (const inputSchema of [{}, { properties: { a: {} } }, { type: ["object", "null"] }])
      expect(compile({ inputSchema }).validateInput({ a: 1 })).toEqual([]);
  });

  test("is a write with 5 seconds by default; the configuration overrides the author", () => {
    expect(compile({ effect: undefined as never }).message.effect).toBe(3);
    expect(compile({ annotations: { title: "Work", openWorld: true } }).message.annotations).toEqual({
      $typeName: "jackfield.v1.ToolAnnotations",
      title: "Work",
      openWorld: true,
    });
    expect(compile()).toMatchObject({ timeoutMs: 5000, isolation: "none", repeatWindowMs: 0, required: false });
    const said = { timeoutMs: 100, limits: { concurrency: 2, queue: 3 } };
    expect(compile(said)).toMatchObject({ timeoutMs: 100, concurrency: 2, queue: 3 });
    expect(compile(said, { limits: { timeoutMs: 1500, queue: 0 }, repeatWindowMs: 9 })).toMatchObject({
      timeoutMs: 1500,
      concurrency: 2,
      queue: 0,
      repeatWindowMs: 9,
      message: { timeout: { seconds: 1n, nanos: 500_000_000 } },
    });
  });

  test("knows the secrets of its configuration, including nested ones and those with quotes", () => {
    const text = { type: "string", secret: true } as const;
    const configSchema = {
      type: "object",
      properties: { a: text, b: { type: "object", properties: { c: text } }, d: { type: "string" } },
    } as const;
    const { redact } = compile({ configSchema }, { config: { a: "long-secret", b: { c: 'q"uote' }, d: "public" } });
    expect(redact('long-secret public q"uote q\\"uote')).toBe("[secret] public [secret] [secret]");
  });
});
