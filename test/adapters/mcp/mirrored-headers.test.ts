import { describe, expect, test } from "vitest";
import type { RequestMessage } from "../../../src/adapters/mcp/message.ts";
import { checkMirroredHeaders, mirroredArguments } from "../../../src/adapters/mcp/mirrored-headers.ts";
import { reserved } from "../../../src/adapters/mcp/protocol.ts";

describe("arguments that are mirrored in headers", () => {
  const schema = {
    properties: {
      region: { type: "string", "x-mcp-header": "Region" },
      order: { type: "object", properties: { id: { "x-mcp-header": "Order" }, note: { "x-mcp-header": "" } } },
      count: { "x-mcp-header": 5 },
      odd: true,
    },
  };
  const mirrored = mirroredArguments(schema);

  function check(args: unknown, headers: Record<string, string | string[]>): string {
    const message: RequestMessage = {
      id: 1,
      method: "tools/call",
      params: { name: "book", arguments: args },
      meta: { [reserved.protocolVersion]: "2026-07-28" },
    };
    const always = { "mcp-protocol-version": "2026-07-28", "mcp-method": "tools/call", "mcp-name": "book" };
    try {
      checkMirroredHeaders(message, { ...always, ...(headers as Record<string, string>) }, mirrored);
      return "fine";
    } catch (error) {
      expect(error).toMatchObject({ status: 400, code: -32020 });
      return (error as Error).message;
    }
  }

  test("are those marked in the schema, down to eight levels, found once", () => {
    expect(mirrored).toEqual([
      { path: ["region"], suffix: "Region" },
      { path: ["order", "id"], suffix: "Order" },
    ]);
    expect(mirroredArguments(schema)).toBe(mirrored);
    const nested = (levels: number): object =>
      levels === 0 ? { "x-mcp-header": "Deep" } : { properties: { a: nested(levels - 1) } };
    expect([9, 10].map((levels) => mirroredArguments(nested(levels)).length)).toEqual([1, 0]);
  });

  test.each([
    [{ region: "eu" }, { "mcp-param-region": "eu" }],
    [{ region: "eu" }, { "mcp-param-region": "  eu " }],
    [{ region: "ü" }, { "mcp-param-region": "=?base64?w7w=?=" }],
    [
      { region: "eu", order: { id: 7 } },
      { "mcp-param-region": "eu", "mcp-param-order": "7" },
    ],
    [{ region: "a, b" }, { "mcp-param-region": ["a", "b"] }],
    [{ order: { id: false } }, { "mcp-param-order": "false" }],
    [{ region: null, order: {} }, {}],
    [{ region: "" }, { "mcp-param-region": "" }],
    [undefined, {}],
  ])("match if they have the same value: %j, %j", (args, headers) => {
    expect(check(args, headers)).toBe("fine");
  });

  test.each([
    [{ region: "eu" }, {}, "Mcp-Param-Region is missing"],
    [{ region: "eu" }, { "mcp-param-region": "us" }, "Mcp-Param-Region does not match the body"],
    [{ region: "ü" }, { "mcp-param-region": "ü" }, "Mcp-Param-Region does not match the body"],
    [{ region: "eu" }, { "mcp-param-region": "=?base64?ZXU?=" }, "Mcp-Param-Region does not match the body"],
    [{ region: "eu" }, { "mcp-param-region": "=?base64?ZX U=?=" }, "Mcp-Param-Region does not match the body"],
    [{ region: "eu" }, { "mcp-param-region": "x=?base64?ZXU=?=" }, "Mcp-Param-Region does not match the body"],
    [{ region: "eu" }, { "mcp-param-region": "=?base64?ZXU=?=x" }, "Mcp-Param-Region does not match the body"],
    [{}, { "mcp-param-region": "eu" }, "Mcp-Param-Region is sent, but the body has no such argument"],
    [{ order: [7] }, { "mcp-param-order": "7" }, "Mcp-Param-Order is sent, but the body has no such argument"],
    [
      { region: ["eu"] },
      { "mcp-param-region": "eu" },
      "Mcp-Param-Region mirrors an argument that is not a text, number or boolean",
    ],
  ])("do not match otherwise: %j, %j", (args, headers, why) => {
    expect(check(args, headers as Record<string, string>)).toBe(`Header mismatch: ${why}`);
  });

  const base64 = (text: string) => `=?base64?${Buffer.from(text).toString("base64")}?=`;

  test.each([
    [5, "5.0"],
    [5, "5e0"],
    [5, "0.5E+1"],
    [5, "500e-2"],
    [5, `5.${"0".repeat(400)}`],
    [5, base64("5.0")],
    [-7, "-7.0"],
    [0, "-0"],
    [0.1, "1e-1"],
    [9007199254740991, "9007199254740991.0"],
    [1e21, "1e+21"],
  ])("match if they are the same number: %d, %j", (id, header) => {
    expect(check({ order: { id } }, { "mcp-param-order": header })).toBe("fine");
  });

  test.each([
    [5, "5.1"],
    [5, "-5"],
    [5, "5.0000000000000000001"],
    [5, "+5"],
    [5, "05"],
    [5, "0x5"],
    [5, "5."],
    [5, ".5e1"],
    [5, "5_0"],
    [5, "5, 5"],
    [5, base64(" 5")],
    [0, ""],
    [0, "false"],
    [0.1, "0.1000000000000000055"],
    [9007199254740992, "9007199254740993"],
    ["5", "5.0"],
    [true, "True"],
    [true, "1"],
    [false, "0"],
  ])("do not match if they are not: %j, %j", (id, header) => {
    expect(check({ order: { id } }, { "mcp-param-order": header })).toBe(
      "Header mismatch: Mcp-Param-Order does not match the body",
    );
  });

  test("are not found in inherited properties", () => {
    const inherited = mirroredArguments({ properties: { constructor: { "x-mcp-header": "Made" } } });
    const message = { id: 1, method: "ping", params: { arguments: {} }, meta: { [reserved.protocolVersion]: "v" } };
    const headers = { "mcp-protocol-version": "v", "mcp-method": "ping" };
    expect(() => checkMirroredHeaders(message, headers, inherited)).not.toThrow();
  });

  test.each(["tasks/get", "tasks/update", "tasks/cancel"])("name the task of %s", (method) => {
    const of = (name: string) => () =>
      checkMirroredHeaders(
        { id: 1, method, params: { taskId: "t-1" }, meta: { [reserved.protocolVersion]: "v" } },
        { "mcp-protocol-version": "v", "mcp-method": method, "mcp-name": name },
        [],
      );
    expect(of("t-1")).not.toThrow();
    expect(of("t-2")).toThrow("Header mismatch: Mcp-Name does not match the body");
  });

  test("may be encoded, except for the version and the method", () => {
    const message: RequestMessage = {
      id: 1,
      method: "tasks/get",
      params: { taskId: "t-1" },
      meta: { [reserved.protocolVersion]: "v" },
    };
    const plain = { "mcp-protocol-version": "v", "mcp-method": "tasks/get", "mcp-name": "t-1" };
    const of = (headers: object) => () => checkMirroredHeaders(message, { ...plain, ...headers }, []);
    expect(of({ "mcp-name": base64("t-1") })).not.toThrow();
    expect(of({ "mcp-protocol-version": base64("v") })).toThrow("MCP-Protocol-Version does not match the body");
    expect(of({ "mcp-method": base64("tasks/get") })).toThrow("Mcp-Method does not match the body");
  });
});
