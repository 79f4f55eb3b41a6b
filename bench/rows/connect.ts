import { startProgram } from "../program.ts";
import { alternate, ratio, type Row } from "../row.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";
import { connectTarget } from "../targets.ts";

/** Connect's JSON over HTTP/1.1, against stock connect-fastify. */
export const connect: Row = {
  name: "connect",
  title: "Connect JSON unary ExecuteTool",
  async run(bench) {
    const { server: core } = bench.cores;
    using folder = scratchFolder();
    await using service = await startService({ core, folder: folder.path, sink: bench.sink });
    await using stock = await startProgram("bench/peers/connect-fastify.ts", { core });
    const { sides, notes } = await alternate(bench, [
      { name: "Jackfield", program: service, target: connectTarget(service.port) },
      { name: "connect-fastify", program: stock, target: connectTarget(stock.port) },
    ]);
    return { unit: "calls/s", sides, ratios: [ratio(sides, "Jackfield", "connect-fastify", 4)], notes };
  },
};
