export { type CallOptions, type CallOutcome, type StartedTool, type StartOptions, startTool } from "./start-tool.ts";
export { startSandbox } from "../sandbox/sandbox.ts";
