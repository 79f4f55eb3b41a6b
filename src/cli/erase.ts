import { EraseConversationResponseSchema } from "../client.ts";
import { CliError } from "./exit.ts";
import type { AddCommand } from "./session.ts";

/** `jackfield erase`: deletes the records of a conversation or a run. */
export const addErase: AddCommand = (program, open) => {
  program
    .command("erase")
    .description("Delete the records of a conversation or a run: calls with their answers, and jobs.")
    .option("--conversation <ID>", "the conversation to erase")
    .option("--run <ID>", "the run to erase; with --conversation, records must match both")
    .option("--source <NAME>", "only records of this source, such as genesys")
    .addHelpText(
      "after",
      `
Needs the scope calls:erase. The audit log keeps its lines: they contain no arguments and no outputs, except for the message in tool_failure.

Examples:
  jackfield erase --conversation 4f6a0c1e
  jackfield erase --source genesys --run 0d9b7f2a --json
`,
    )
    .action(async (flags: { conversation?: string; run?: string; source?: string }, command) => {
      const { conversation: conversationId = "", run: runId = "", source = "" } = flags;
      if (conversationId === "" && runId === "")
        throw new CliError("Name what to erase: --conversation ID or --run ID.");
      const session = open(command);
      const erased = await session.request(({ calls }) => calls.eraseConversation({ source, conversationId, runId }));
      if (session.json) session.printJson(EraseConversationResponseSchema, erased);
      else session.print(`Erased ${counted(erased.calls, "call")} and ${counted(erased.jobs, "job")}.`);
    });
};

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
