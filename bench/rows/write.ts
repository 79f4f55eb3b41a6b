import { alternate, ratio, type Row } from "../row.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";
import { cognigyTarget } from "../targets.ts";

/** A `write` tool with intent and outcome on disk before its answer, against the `read` tool. */
export const write: Row = {
  name: "write",
  title: "`write` tool with intent and outcome on disk",
  async run(bench) {
    using folder = scratchFolder();
    await using service = await startService({ core: bench.cores.server, folder: folder.path, sink: bench.sink });
    const { sides, notes } = await alternate(bench, [
      { name: "write", program: service, target: cognigyTarget(service.port, "write_inventory") },
      { name: "read", program: service, target: cognigyTarget(service.port, "read_inventory") },
      { name: "idempotent", program: service, target: cognigyTarget(service.port, "idempotent_inventory") },
    ]);
    return { unit: "requests/s", sides, ratios: [ratio(sides, "write", "read", 0.4)], notes };
  },
};
