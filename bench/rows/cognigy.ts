import { startProgram } from "../program.ts";
import { alternate, ratio, type Row } from "../row.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";
import { cognigyTarget } from "../targets.ts";

/** Cognigy callback of a `read` tool without I/O, against routes by hand. */
export const cognigy: Row = {
  name: "cognigy",
  title: "Cognigy webhook call of a `read` tool without I/O",
  async run(bench) {
    const { server: core } = bench.cores;
    using folder = scratchFolder();
    await using service = await startService({ core, folder: folder.path, sink: bench.sink });
    await using fastify = await startProgram("bench/peers/fastify.ts", { core });
    await using express = await startProgram("bench/peers/express.ts", { core });
    await using http = await startProgram("bench/peers/node-http.ts", { core });
    const { sides, notes } = await alternate(bench, [
      { name: "Jackfield", program: service, target: cognigyTarget(service.port) },
      { name: "Fastify by hand", program: fastify, target: cognigyTarget(fastify.port) },
      { name: "Express by hand", program: express, target: cognigyTarget(express.port) },
      { name: "node:http by hand", program: http, target: cognigyTarget(http.port) },
    ]);
    return {
      unit: "requests/s",
      sides,
      ratios: [ratio(sides, "Jackfield", "Fastify by hand", 0.75), ratio(sides, "Jackfield", "Express by hand", 1.2)],
      notes,
    };
  },
};
