import { defineTool, path } from "jackfield/plugin";

export default defineTool({
  name: "look",
  description: "Looks whether a seat is free.",
  inputSchema: { type: "object", properties: { seat: { type: "string" } }, required: ["seat"] },
  configSchema: { type: "object", properties: { baseUrl: { type: "string" } }, required: ["baseUrl"] } as const,
  effect: "read",
  async execute({ seat }, { http, config }) {
    const answer = await http(`${config.baseUrl}${path`/seats/${seat}`}`);
    return answer.json();
  },
});
