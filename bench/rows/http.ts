import { alternate, ratio, type Row } from "../row.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";
import { cognigyTarget, httpDoorTarget } from "../targets.ts";

/** The same call through plain HTTP and through Cognigy's route, in one process. */
export const http: Row = {
  name: "http",
  title: "Plain HTTP door beside Cognigy's route",
  async run(bench) {
    const { server: core } = bench.cores;
    using folder = scratchFolder();
    await using service = await startService({ core, folder: folder.path, sink: bench.sink });
    const { sides, notes } = await alternate(bench, [
      { name: "HTTP door", program: service, target: httpDoorTarget(service.port) },
      { name: "Cognigy route", program: service, target: cognigyTarget(service.port) },
    ]);
    return { unit: "requests/s", sides, ratios: [ratio(sides, "HTTP door", "Cognigy route", 1)], notes };
  },
};
