import { EventEmitter } from "node:events";
import { expect, test, vi } from "vitest";
import { handleStrayErrors, type StrayErrorSource } from "../../src/app/stray-errors.ts";
import { withTelemetry } from "../telemetry/with-telemetry.ts";

function source() {
  const codes: number[] = [];
  const emitter = new EventEmitter();
  const exit = (code: number) => void codes.push(code);
  return { codes, emitter, target: Object.assign(emitter, { exit }) as unknown as StrayErrorSource };
}

test("an uncaught exception ends the process, after its log and audit lines are written", async () => {
  await using run = await withTelemetry();
  const { codes, emitter, target } = source();
  handleStrayErrors(target, run.telemetry);
  emitter.emit("uncaughtException", new Error("out of order"));
  expect(codes).toEqual([]);
  await vi.waitFor(() => expect(codes).toEqual([1]));
  expect(run.lines.join("")).toContain("out of order");
});

test("an unhandled rejection is counted and logged, and the process continues", async () => {
  await using run = await withTelemetry();
  const { codes, emitter, target } = source();
  handleStrayErrors(target, run.telemetry);
  emitter.emit("unhandledRejection", new Error("left behind by a tool"));
  const hostile = new Proxy(new Error("x"), {
    get() {
      throw new Error("no");
    },
  });
  emitter.emit("unhandledRejection", hostile);
  expect(run.lines.join("")).toContain("left behind by a tool");
  expect(await run.telemetry.prometheus()).toMatch(/jackfield_stray_errors_total\{?[^}]*\}? 2/);
  expect(codes).toEqual([]);
});
