import { startProgram } from "../program.ts";
import { alternate, ratio, type Row } from "../row.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";
import { grpcTarget } from "../targets.ts";

/** gRPC unary, against the official library and bare node:http2. */
export const grpc: Row = {
  name: "grpc",
  title: "gRPC unary ExecuteTool",
  async run(bench) {
    const { server: core } = bench.cores;
    using folder = scratchFolder();
    await using service = await startService({ core, folder: folder.path, sink: bench.sink });
    await using official = await startProgram("bench/peers/grpc-js.ts", { core });
    await using http2 = await startProgram("bench/peers/node-http2.ts", { core });
    const { sides, notes } = await alternate(bench, [
      { name: "Jackfield", program: service, target: grpcTarget(service.port) },
      { name: "@grpc/grpc-js", program: official, target: grpcTarget(official.port) },
      { name: "node:http2 by hand", program: http2, target: grpcTarget(http2.port) },
    ]);
    return {
      unit: "calls/s",
      sides,
      ratios: [ratio(sides, "Jackfield", "@grpc/grpc-js", 1), ratio(sides, "Jackfield", "node:http2 by hand")],
      notes,
    };
  },
};
