import { defineTool } from "jackfield/plugin";

/** Cannot be opened until the variable is there. */
export default defineTool({
  name: "closed",
  description: "Cannot be opened.",
  inputSchema: { type: "object" },
  open() {
    throw new Error("the database is away");
  },
  execute: () => 1,
});
