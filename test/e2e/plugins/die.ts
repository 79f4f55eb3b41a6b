import { defineTool } from "jackfield/plugin";

/** Kills its process, as exhausted memory does. */
export default defineTool({
  name: "die",
  description: "Kills the process that runs it.",
  effect: "read",
  inputSchema: { type: "object" },
  async execute() {
    process.kill(process.pid, "SIGKILL");
    return await new Promise<never>(() => {});
  },
});
