import { defineTool, path, ToolError } from "jackfield/plugin";

/** Finds the next free appointment in a calendar service. */
export default defineTool({
  name: "find_slot",
  description: "Find the next free appointment at a branch.",
  inputSchema: {
    type: "object",
    properties: {
      branch: { type: "string", minLength: 1, maxLength: 64, description: "Name of the branch, such as Camden." },
    },
    required: ["branch"],
    additionalProperties: false,
  },
  configSchema: {
    type: "object",
    properties: { baseUrl: { type: "string", description: "URL of the calendar service." } },
    required: ["baseUrl"],
    additionalProperties: false,
  },
  effect: "read",
  async execute({ branch }, { http, config }) {
    const answer = await http(config.baseUrl + path`/branches/${branch}/slots`);
    const [slot] = answer.json<string[]>();
    if (slot === undefined) throw new ToolError(`There is no free appointment at ${branch}. Offer another branch.`);
    return { branch, slot };
  },
});
