import { defineTool } from "jackfield/plugin";

export default defineTool({
  name: "reserved",
  description: "Has an argument that is no argument.",
  inputSchema: { type: "object", properties: { jackfieldCallId: { type: "string" } } },
  effect: "read",
  execute: () => "never",
});
