import { openLoop } from "../load/load.ts";
import { startProgram } from "../program.ts";
import { load, median, ratio, type Row, type Side } from "../row.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";
import { cognigyTarget } from "../targets.ts";

/** p99 of the Cognigy callback at 70 % of each side's own maximum, against Fastify by hand. */
export const tail: Row = {
  name: "tail",
  title: "p99 at 70 % load",
  async run(bench) {
    const { server: core } = bench.cores;
    using folder = scratchFolder();
    await using service = await startService({ core, folder: folder.path, sink: bench.sink });
    await using fastify = await startProgram("bench/peers/fastify.ts", { core });
    const contestants = [
      { name: "Jackfield", program: service },
      { name: "Fastify by hand", program: fastify },
    ];
    const sides: Side[] = contestants.map(({ name }) => ({ name, values: [] }));
    const maxRates: number[] = [];
    for (const { program } of contestants) program.pause();
    for (let round = 0; round < bench.rounds; round++) {
      for (const [index, { program, name }] of contestants.entries()) {
        program.resume();
        const target = cognigyTarget(program.port);
        if (round === 0) maxRates[index] = (await load(bench, program, target)).perSecond;
        const options = {
          connections: 128,
          perSecond: maxRates[index]! * 0.7,
          seconds: bench.seconds,
          warmSeconds: bench.warmSeconds,
          number: bench.number,
        };
        const latencies = await openLoop(target, options);
        program.pause();
        const p99 = latencies[Math.floor(latencies.length * 0.99)] ?? Number.NaN;
        sides[index]!.values.push(p99);
        bench.print(
          `  ${name}: p50 ${median([...latencies]).toFixed(2)} ms, p99 ${p99.toFixed(2)} ms at ${Math.round(options.perSecond)}/s`,
        );
      }
    }
    const notes = [
      `each side at 70 % of its own most: ${contestants.map(({ name }, index) => `${name} ${Math.round(maxRates[index]! * 0.7)}/s`).join(", ")}`,
      "from the moment a request was due (open loop), so that a stall counts for everyone who had to wait",
    ];
    return { unit: "ms", sides, ratios: [ratio(sides, "Jackfield", "Fastify by hand", 2, true)], notes };
  },
};
