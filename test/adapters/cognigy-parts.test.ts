import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { Outcome, type ToolResult, ToolResultSchema } from "../../gen/jackfield/v1/tool_pb.ts";
import {
  callFromCallback,
  createAnswerWriter,
  idFromPayload,
  measureAnswer,
  measureFailure,
  measureLateResult,
} from "../../src/adapters/cognigy/payloads.ts";

/** A good result of a tool that ran. */
const ran = (change: Partial<ToolResult> = {}): ToolResult =>
  Object.assign(
    create(ToolResultSchema, {
      name: "t",
      outcome: Outcome.OK,
      attempts: 1,
      duration: { seconds: 2n, nanos: 500_000_000 },
    }),
    change,
  );

describe("what is measured of a call", () => {
  const invocation = (status: string) => ["cognigy.tool.invocations", { status }, 1];
  const took = (seconds: number) => ["cognigy.tool.execution.duration", {}, seconds];
  const cost = (status: string) => ["cognigy.tool.cost.attribution", { tool: "t", status }, 1];

  const measured = (measuring: (measure: (...values: unknown[]) => void) => void) => {
    const values: unknown[][] = [];
    measuring((...one) => void values.push(one));
    return values;
  };

  test.each<[string, Partial<ToolResult>, unknown[]]>([
    ["a good one", {}, [took(2.5), cost("success"), invocation("success")]],
    ["a failed one", { outcome: Outcome.FAILED }, [took(2.5), cost("fallback"), invocation("fallback")]],
    ["one that never ran", { outcome: Outcome.DENIED, attempts: 0 }, [invocation("fallback")]],
    ["one that still runs", { outcome: Outcome.PENDING }, [invocation("fallback")]],
    ["a repeat", { replayed: true }, [invocation("success")]],
    ["one without a duration", { duration: undefined }, [took(0), cost("success"), invocation("success")]],
  ])("counts %s as an invocation, with duration and cost if its tool ran now", (_what, change, values) => {
    expect(measured((measure) => measureAnswer(ran(change), measure))).toEqual(values);
  });

  test("is duration and cost for a late result, and a fallback for a failed request", () => {
    expect(measured((measure) => measureLateResult(ran(), measure))).toEqual([took(2.5), cost("success")]);
    expect(measured((measure) => measureFailure({}, measure))).toEqual([invocation("fallback")]);
  });
});

describe("a callback", () => {
  test.each([
    [null, "Expected a JSON object with tool_call_id, name and arguments"],
    [{ name: "t" }, "Invalid or missing tool_call_id: expected a string of 1 to 256 characters"],
    [{ tool_call_id: "a", name: "" }, "Invalid or missing name: expected the name of a tool"],
    [{ tool_call_id: "a", name: 7 }, "Invalid or missing name: expected the name of a tool"],
  ])("%j is refused: %s", (payload, message) => {
    expect(() => callFromCallback(payload)).toThrow(message);
  });

  test("that fails is answered with its id if it has a valid one", () => {
    const ids = [{ tool_call_id: "a" }, { tool_call_id: "" }, {}, [], null].map(idFromPayload);
    expect(ids).toEqual(["a", "unknown", "unknown", "unknown", "unknown"]);
  });
});

describe("the answer to a callback", () => {
  const output = (change: MessageInitShape<typeof ToolResultSchema>, max = 100) =>
    (JSON.parse(createAnswerWriter(max)({ id: "a" }, create(ToolResultSchema, change))) as { output: string }).output;

  test("is the output, or the error message", () => {
    expect(output({ outcome: Outcome.OK, output: "there" })).toBe("there");
    expect(output({ outcome: Outcome.FAILED, output: "odd" })).toBe("odd");
    expect(output({ outcome: Outcome.FAILED, output: "odd", error: { message: "why" } })).toBe("why");
    expect(output({ outcome: Outcome.INVALID_ARGUMENTS, error: { message: "not JSON" } })).toBe("not JSON");
  });

  test("lists the violations of the arguments, cut to the limit", () => {
    const violations = [
      { path: "/a", message: "must be string" },
      { path: "/b", message: "must be number" },
    ];
    const refused = { outcome: Outcome.INVALID_ARGUMENTS, error: { message: "m", violations } };
    expect(output(refused)).toBe("Invalid arguments: Schema validation failed: /a: must be string; /b: must be number");
    expect(output(refused, 20)).toBe("Invalid arguments…");
  });
});
