import { type Program, startProgram } from "../program.ts";
import { type Bench, load, ratio, record, type Row, type Side } from "../row.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";
import { acceptTarget } from "../targets.ts";

/** The 202 of the AI Gateway webhook on the embedded store, against the same webhook by hand without durability. */
export const accept: Row = {
  name: "accept",
  title: "202 accepted and durable (embedded)",
  async run(bench) {
    const { server: core } = bench.cores;
    const durable: Side = { name: "Jackfield", values: [], cpuMicros: [] };
    const forgetful: Side = { name: "Fastify by hand, in memory", values: [], cpuMicros: [] };
    const notes = new Set([
      "a new process for every turn, because the work goes on after the 202; both sides run the tool and deliver the results",
    ]);
    for (let round = 0; round < bench.rounds; round++) {
      using folder = scratchFolder();
      await turn(bench, durable, notes, () => startService({ core, folder: folder.path, sink: bench.sink }));
      await turn(bench, forgetful, notes, () =>
        startProgram("bench/peers/accept-in-memory.ts", { core, env: { DELIVER_TO: bench.sink } }),
      );
    }
    const sides = [durable, forgetful];
    return { unit: "requests/s", sides, ratios: [ratio(sides, durable.name, forgetful.name, 0.5)], notes: [...notes] };
  },
};

async function turn(bench: Bench, side: Side, notes: Set<string>, start: () => Promise<Program>): Promise<void> {
  await using program = await start();
  record(bench, side, await load(bench, program, acceptTarget(program.port)), notes);
}
