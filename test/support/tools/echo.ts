import { defineTool } from "jackfield/plugin";

export default defineTool({
  name: "echo",
  description: "Says what it was given.",
  inputSchema: { type: "object" },
  effect: "read",
  sanitize: "off",
  execute: (args, { conversationId, sessionId, source, log }) => {
    log.info("echoing");
    return { args, conversation: conversationId ?? null, session: sessionId ?? null, source };
  },
});
