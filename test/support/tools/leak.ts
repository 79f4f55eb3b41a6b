import { defineTool } from "jackfield/plugin";

export default defineTool({
  name: "leak",
  description: "Fails with everything that it knows.",
  inputSchema: { type: "object", properties: { how: { type: "string" }, note: { type: "string" } }, required: ["how"] },
  configSchema: {
    type: "object",
    properties: { baseUrl: { type: "string" }, apiKey: { type: "string", secret: true } },
    required: ["baseUrl", "apiKey"],
  } as const,
  effect: "read",
  async execute({ how, note }, { http, config, log, progress }) {
    log.warn("about to fail", { apiKey: config.apiKey, said: `the key is ${config.apiKey}` });
    progress({ message: `the key is ${config.apiKey}` });
    if (how === "return") return { apiKey: config.apiKey };
    if (how === "downstream") {
      const answer = await http(`${config.baseUrl}/echo`, {
        method: "POST",
        json: { note },
        headers: { authorization: `Bearer ${config.apiKey}` },
      });
      return answer.json();
    }
    const error = new Error(`could not use ${config.apiKey} for ${String(note)}`);
    if (how === "throw text") throw error.message as unknown as Error;
    throw error;
  },
});
