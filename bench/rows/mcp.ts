import { startProgram } from "../program.ts";
import { alternate, ratio, type Row } from "../row.ts";
import { scratchFolder } from "../scratch.ts";
import { startService } from "../service.ts";
import { mcpTarget, modernMcpTarget } from "../targets.ts";

/** MCP `tools/call` of a `read` tool without I/O against the official servers, and against one that keeps a session. */
export const mcp: Row = {
  name: "mcp",
  title: "MCP `tools/call` against the official SDK servers",
  async run(bench) {
    const { server: core } = bench.cores;
    using folder = scratchFolder();
    await using service = await startService({ core, folder: folder.path, sink: bench.sink });
    await using first = await startProgram("bench/peers/mcp-sdk-v1.ts", { core });
    await using session = await startProgram("bench/peers/mcp-sdk-v1.ts", { core, args: ["session"] });
    await using second = await startProgram("bench/peers/mcp-sdk-v2.ts", { core });
    const { sides, notes } = await alternate(bench, [
      { name: "Jackfield, 2025-06-18", program: service, target: mcpTarget(service.port) },
      { name: "SDK v1", program: first, target: mcpTarget(first.port) },
      { name: "SDK v1 in one session", program: session, target: mcpTarget(session.port, "bench") },
      { name: "Jackfield, 2026-07-28", program: service, target: modernMcpTarget(service.port) },
      { name: "SDK v2", program: second, target: modernMcpTarget(second.port) },
    ]);
    return {
      unit: "calls/s",
      sides,
      ratios: [
        ratio(sides, "Jackfield, 2025-06-18", "SDK v1", 5),
        ratio(sides, "Jackfield, 2025-06-18", "SDK v1 in one session", 5),
        ratio(sides, "Jackfield, 2026-07-28", "SDK v2", 5),
      ],
      notes,
    };
  },
};
