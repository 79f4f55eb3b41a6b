import { spawnSync } from "node:child_process";
import { onCore } from "../cores.ts";
import { root } from "../program.ts";
import type { Bench, Row, Side } from "../row.ts";

/** The pipeline alone, in one process: the time that remains for everything above it. */
export const pipeline: Row = {
  name: "pipeline",
  title: "pipeline alone, in process, one call",
  run(bench) {
    const side: Side = { name: "executor.execute", values: [], cpuMicros: [] };
    for (let round = 0; round < bench.rounds; round++) {
      const measured = inOwnProcess(bench, 1);
      side.values.push(measured.micros);
      side.cpuMicros!.push(measured.cpuMicros);
      bench.print(`  ${measured.micros.toFixed(2)} µs, ${measured.cpuMicros.toFixed(2)} µs CPU of all threads`);
    }
    return Promise.resolve({
      unit: "µs per call",
      sides: [side],
      ratios: [{ name: "µs per call", values: side.values, byCpu: side.cpuMicros!, goal: 4, atMost: true }],
      notes: [
        "metrics and audit on, tracing off; a `read` tool, calls one after the other, audit lines made and written within the time",
      ],
    });
  },
};

/** A registry of 10,000 tools, against one of 10. */
export const registry: Row = {
  name: "registry",
  title: "registry of 10,000 tools against 10: time per call",
  run(bench) {
    const many: Side = { name: "10,000 tools", values: [] };
    const few: Side = { name: "10 tools", values: [] };
    for (let round = 0; round < bench.rounds; round++) {
      few.values.push(inOwnProcess(bench, 10).micros);
      many.values.push(inOwnProcess(bench, 10_000).micros);
      bench.print(`  ${few.values.at(-1)!.toFixed(2)} µs, ${many.values.at(-1)!.toFixed(2)} µs`);
    }
    const values = many.values.map((value, index) => value / few.values[index]!);
    return Promise.resolve({
      unit: "µs per call",
      sides: [many, few],
      ratios: [{ name: "10,000 tools / 10 tools", values, goal: 1.1, atMost: true }],
      notes: ["every call asks another tool"],
    });
  },
};

function inOwnProcess({ cores, seconds }: Bench, tools: number): { micros: number; cpuMicros: number } {
  const calls = String(Math.round(seconds * 60_000));
  const [command, ...args] = onCore(cores.server, [
    process.execPath,
    "--conditions=@jackfield/source",
    "--disable-warning=ExperimentalWarning",
    "bench/pipeline.ts",
    calls,
    String(tools),
  ]);
  const { stdout } = spawnSync(command, args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  return JSON.parse(stdout) as { micros: number; cpuMicros: number };
}
