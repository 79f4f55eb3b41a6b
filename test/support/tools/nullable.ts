import { defineTool } from "jackfield/plugin";

export default defineTool({
  name: "nullable",
  description: "Has arguments that may be null, and some that may not.",
  inputSchema: {
    type: "object",
    $defs: { word: { type: "string" } },
    properties: {
      required: { type: "string" },
      text: { type: "string" },
      nullable: { type: ["string", "null"] },
      choice: { enum: ["a", "b"] },
      nothing: { anyOf: [{ type: "string" }, { type: "null" }] },
      referred: { $ref: "#/$defs/word" },
    },
    required: ["required"],
  },
  effect: "read",
  execute: (args) => args,
});
