// Runs Jackfield inside a program of one's own: `node main.ts`.
import { createJackfield } from "jackfield";
import { createJackfieldClient } from "jackfield/client";
import { defineTool, ToolError } from "jackfield/plugin";

const slots: Record<string, string> = { Camden: "2026-12-01T10:00" };

const findSlot = defineTool({
  name: "find_slot",
  description: "Find the next free appointment at a branch.",
  inputSchema: {
    type: "object",
    properties: { branch: { type: "string", minLength: 1, maxLength: 64 } },
    required: ["branch"],
    additionalProperties: false,
  },
  effect: "read",
  async execute({ branch }) {
    const slot = slots[branch];
    if (slot === undefined) throw new ToolError(`There is no free appointment at ${branch}. Offer another branch.`);
    return { branch, slot };
  },
});

// The keys are those of the configuration file. Port 0 takes any free one; the variables of the process are not read.
await using jackfield = await createJackfield({ port: 0, dataDir: ".data", logLevel: "warn", plugins: [findSlot] });
console.log(`listening on ${jackfield.url}`);

const { executor } = createJackfieldClient({ baseUrl: jackfield.url });
for (const branch of ["Camden", "Hackney"]) {
  const { result } = await executor.executeTool({
    call: { name: "find_slot", input: { case: "arguments", value: { branch } } },
  });
  console.log(result?.output);
}
