import { create, toBinary, toJson } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ExecuteToolResponseSchema } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { executeToolWriter } from "../../src/rpc/fast-path/execute-tool-writer.ts";
import { aCall, aTool, startExecutor, within } from "../support/executor.ts";

test("the short way writes what the general way writes", async () => {
  let returned: unknown;
  const { executor } = await startExecutor([aTool({ execute: () => returned })]);
  const text = fc.string({ unit: "binary" });
  const output = fc.oneof(
    fc.jsonValue(),
    text,
    fc.constantFrom({ __proto__: null }, [1e21, -0, 0.1], "", null, { 2: 1, 1: 2 }),
  );
  await fc.assert(
    fc.asyncProperty(output, text, fc.nat(3_000_000_000), async (value, id, nanos) => {
      returned = value;
      const result = await executor.execute(aCall({}, { id: id.toWellFormed() }), within());
      result.duration = {
        $typeName: "google.protobuf.Duration",
        seconds: BigInt(Math.floor(nanos / 1e9)),
        nanos: nanos % 1e9,
      };
      const message = create(ExecuteToolResponseSchema, { result });
      const whole = create(ExecuteToolResponseSchema, { result });
      expect(executeToolWriter.json(message)).toBe(JSON.stringify(toJson(ExecuteToolResponseSchema, whole)));
      expect(executeToolWriter.binary(message)).toEqual(toBinary(ExecuteToolResponseSchema, whole));
    }),
    { numRuns: 500 },
  );
});
