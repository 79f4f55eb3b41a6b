import { existsSync } from "node:fs";
import { defineTool } from "jackfield/plugin";

/** Can be opened only when a folder exists. */
export default defineTool({
  name: "closed",
  description: "Cannot be opened at first.",
  inputSchema: { type: "object" },
  open(config) {
    const { folder } = config as { folder?: string };
    if (folder === undefined || !existsSync(folder)) throw new Error("the database is away");
  },
  execute: () => 1,
});
