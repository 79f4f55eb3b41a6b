import { defineTool } from "jackfield/plugin";

/** Logs much during each call. */
export default defineTool({
  name: "chatter",
  description: "Logs much.",
  effect: "read",
  inputSchema: { type: "object" },
  execute(_args: object, { log }) {
    for (let n = 0; n < 20; n++) log.info("x".repeat(8000));
    return { said: true };
  },
});
