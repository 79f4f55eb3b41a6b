import { expect, onTestFinished, test } from "vitest";
import { SchemaError } from "../../src/schema/check-schema.ts";
import { createTrialCompiler, type TrialLimits } from "../../src/schema/trial-compiler.ts";
import { testRequirement } from "../support/test-requirement.ts";

function start(limits?: TrialLimits) {
  const trial = createTrialCompiler(limits);
  onTestFinished(() => trial.close());
  return trial;
}

const small = { type: "object", properties: { a: { type: "string" } } };
const large = {
  type: "object",
  properties: Object.fromEntries(
    Array.from({ length: 1900 }, (_, index) => [`p${index}`, { type: "string", minLength: 1, format: "date" }]),
  ),
};

testRequirement("002.2", "a large schema is compiled in another thread before the process compiles it", async () => {
  const trial = start({ timeoutMs: 20_000, memoryMb: 128 });
  await expect(trial.check(large)).resolves.toBeUndefined();
  await expect(trial.check({ ...large, not: { $ref: "#/nowhere" } })).rejects.toThrow(/can't resolve/);
  await expect(trial.check({ ...large, not: { type: "dict" } })).rejects.toThrow(SchemaError);
  await expect(trial.check(large)).resolves.toBeUndefined();
});

testRequirement(
  "002.2",
  "a schema that takes too long is refused, and the next one is compiled (hazard 45)",
  async () => {
    const trial = start({ timeoutMs: 1, memoryMb: 128 });
    await expect(trial.check(large)).rejects.toThrow("it takes too long to compile");
    await expect(trial.check(small)).resolves.toBeUndefined();
  },
);

testRequirement("002.2", "a schema that takes too much memory ends only the thread (hazard 45)", async () => {
  const trial = start({ timeoutMs: 20_000, memoryMb: 12 });
  await expect(trial.check(large)).rejects.toThrow("it takes too much memory to compile");
  await expect(trial.check({ ...small, properties: { a: { type: "dict" } } })).rejects.toThrow("use object");
});

test("closing ends its thread, even if it never started", async () => {
  await createTrialCompiler().close();
  const trial = createTrialCompiler({ timeoutMs: 20_000, memoryMb: 128 });
  await trial.check(large);
  await trial.close();
  await expect(trial.check(large)).resolves.toBeUndefined();
  await trial.close();
});
