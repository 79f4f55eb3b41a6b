import { Outcome, RunConversationResponseSchema, type RunConversationResponse } from "../client.ts";
import { outcomeName, progressLine } from "./call.ts";
import { CliError, exit } from "./exit.ts";
import { oneLine } from "./printable.ts";
import type { AddCommand, Session } from "./session.ts";

/** `jackfield converse`: runs a conversation between a model and the tools, and prints it. */
export const addConverse: AddCommand = (program, open) => {
  program
    .command("converse")
    .description("Let a model behind the Genesys LLM Gateway answer, with the available tools.")
    .argument("<TEXT>", "what the user says")
    .option("--model <NAME>", "the model", "gpt-4o")
    .option("--conversation <ID>", "its id: an interrupted conversation that is repeated under its id repeats no write")
    .addHelpText(
      "after",
      `
The answer goes to stdout, progress to stderr. With --json every event is a line on stdout.

Examples:
  jackfield converse "How is the weather in London?"
  jackfield converse "Where is my order A-1001?" --model gpt-4o-mini 2>/dev/null
`,
    )
    .action(async (message: string, flags: { model: string; conversation?: string }, command) => {
      const session = open(command);
      const text = await session.request(async ({ conversations }) => {
        let last: RunConversationResponse["event"] = { case: undefined };
        const request = { message, model: flags.model, conversationId: flags.conversation ?? "" };
        for await (const response of conversations.runConversation(request)) {
          last = response.event;
          if (session.json) session.printJson(RunConversationResponseSchema, response);
          else printEvent(session, last);
        }
        if (last.case !== "done") throw new CliError("The conversation ended without an answer.", exit.notOk);
        return last.value.text;
      });
      if (!session.json) session.print(text);
    });
};

function printEvent(session: Session, event: RunConversationResponse["event"]): void {
  if (event.case === "turn" && event.value.toolCalls > 0 && event.value.text !== "")
    session.note(oneLine(event.value.text, 400));
  if (event.case === "call") session.note(`→ ${event.value.name} ${oneLine(argumentsOf(event.value.input), 200)}`);
  if (event.case === "progress") session.note(`  ${progressLine(event.value)}`);
  if (event.case !== "result") return;
  const { name, outcome, output } = event.value;
  session.note(`← ${name} ${outcome === Outcome.OK ? "" : `${outcomeName(outcome)}: `}${oneLine(output, 200)}`);
}

function argumentsOf(input: { case?: string | undefined; value?: unknown }): string {
  return typeof input.value === "string" ? input.value : JSON.stringify(input.value ?? {});
}
