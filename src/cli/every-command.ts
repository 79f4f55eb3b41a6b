import { addAudit } from "./audit.ts";
import { addCall } from "./call.ts";
import { addCheck } from "./check.ts";
import { addConverse } from "./converse.ts";
import { addErase } from "./erase.ts";
import { addExport } from "./export.ts";
import { addMcp } from "./mcp.ts";
import { addJobs } from "./jobs.ts";
import { addNewTool } from "./new-tool.ts";
import { addServe } from "./serve.ts";
import type { AddCommand } from "./session.ts";
import { addSim } from "./sim/sim.ts";
import { addTools } from "./tools.ts";

/** The commands in the order of the help text. */
export const everyCommand: readonly AddCommand[] = [
  addServe,
  addCheck,
  addTools,
  addCall,
  addConverse,
  addMcp,
  addJobs,
  addErase,
  addExport,
  addSim,
  addAudit,
  addNewTool,
];
