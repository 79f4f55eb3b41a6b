import { startProgram } from "../program.ts";
import { alternate, ratio, type Row } from "../row.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";
import { cognigyTarget, httpDoorTarget, mcpTarget, modernMcpTarget } from "../targets.ts";

/** MCP `tools/call` of a `read` tool without I/O against the official servers, and the plain HTTP door beside Cognigy's route. */
export const mcp: Row = {
  name: "mcp",
  title: "MCP `tools/call` against the official SDK servers",
  async run(bench) {
    const { server: core } = bench.cores;
    using folder = scratchFolder();
    await using service = await startService({ core, folder: folder.path, sink: bench.sink });
    await using first = await startProgram("bench/peers/mcp-sdk-v1.ts", { core });
    await using second = await startProgram("bench/peers/mcp-sdk-v2.ts", { core });
    const { sides, notes } = await alternate(bench, [
      { name: "Jackfield, 2025-06-18", program: service, target: mcpTarget(service.port) },
      { name: "SDK v1, 2025-06-18", program: first, target: mcpTarget(first.port) },
      { name: "Jackfield, 2026-07-28", program: service, target: modernMcpTarget(service.port) },
      { name: "SDK v2, 2026-07-28", program: second, target: modernMcpTarget(second.port) },
      { name: "HTTP door", program: service, target: httpDoorTarget(service.port) },
      { name: "Cognigy route", program: service, target: cognigyTarget(service.port) },
    ]);
    return {
      unit: "calls/s",
      sides,
      ratios: [
        ratio(sides, "Jackfield, 2025-06-18", "SDK v1, 2025-06-18", 5),
        ratio(sides, "Jackfield, 2026-07-28", "SDK v2, 2026-07-28", 5),
        ratio(sides, "HTTP door", "Cognigy route", 1),
      ],
      notes,
    };
  },
};
