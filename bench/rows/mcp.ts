import type { Row } from "../row.ts";

/** MCP `tools/call`: the adapter does not exist yet. */
export const mcp: Row = {
  name: "mcp",
  title: "MCP `tools/call` against the official SDK server",
  run: () =>
    Promise.resolve({
      unit: "calls/s",
      sides: [],
      ratios: [],
      notes: ["not built yet: there is no MCP adapter to measure"],
    }),
};
