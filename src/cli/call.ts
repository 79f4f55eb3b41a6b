import { randomUUID } from "node:crypto";
import { InvalidArgumentError } from "commander";
import { Outcome, type ToolResult, ToolResultSchema } from "../client.ts";
import { CliError, exit } from "./exit.ts";
import { formatJson, oneLine } from "./printable.ts";
import type { AddCommand, Session } from "./session.ts";

interface CallFlags {
  readonly id?: string;
  readonly conversation?: string;
  readonly timeout?: number;
}

/** `jackfield call`: executes one call of one tool. */
export const addCall: AddCommand = (program, open) => {
  program
    .command("call")
    .description("Call a tool and print what a model would read.")
    .argument("<NAME>", "the tool: `jackfield tools` lists them")
    .argument("[JSON]", "its arguments, an object", "{}")
    .option("--id <ID>", "id of the call: with --conversation, the same id again gets the stored answer")
    .option("--conversation <ID>", "the conversation that the call belongs to")
    .option("--timeout <SECONDS>", "stop waiting after this time", seconds)
    .addHelpText(
      "after",
      `
Exit code 2 if the outcome is not OK; the reason is on stderr.

Examples:
  jackfield call get_weather '{"location":"London"}'
  jackfield call get_order_status '{"order_id":"A-1001"}' --json | jq .outcome
  jackfield call update_ticket_priority '{"ticket_id":"T-1","priority":"high"}' --id 1 --conversation demo
`,
    )
    .action(async (name: string, json: string, flags: CallFlags, command) => {
      const session = open(command);
      const result = await execute(session, name, json, flags);
      if (session.json) session.printJson(ToolResultSchema, result);
      else if (result.outcome === Outcome.OK)
        session.print(session.host.stdout.isTTY ? formatJson(result.output) : result.output);
      if (result.outcome === Outcome.OK) return;
      if (!session.json) session.note(`${outcomeName(result.outcome)}: ${oneLine(result.output, 1000)}`);
      session.finish(exit.notOk);
    });
};

async function execute(session: Session, name: string, json: string, flags: CallFlags): Promise<ToolResult> {
  return session.request(async ({ executor }) => {
    const events = executor.executeTools(
      {
        calls: [{ id: flags.id ?? randomUUID(), name, input: { case: "argumentsJson", value: json } }],
        context: { conversationId: flags.conversation ?? "" },
      },
      { timeoutMs: flags.timeout },
    );
    let result: ToolResult | undefined;
    for await (const { event } of events) {
      if (event.case === "progress") session.note(progressLine(event.value));
      if (event.case === "result") result = event.value;
    }
    if (result === undefined) throw new CliError("The service ended its answer without a result.", exit.notOk);
    return result;
  });
}

/** Formats a running tool's progress as one line. */
export function progressLine({ message, fraction }: { readonly message: string; readonly fraction: number }): string {
  const percent = fraction > 0 ? `${Math.round(fraction * 100)} % ` : "";
  return `… ${percent}${oneLine(message, 200)}`.trimEnd();
}

/** Returns the display name of an outcome. */
export function outcomeName(outcome: Outcome): string {
  return Object.entries(Outcome).find(([, number]) => number === outcome)?.[0] ?? String(outcome);
}

function seconds(text: string): number {
  const value = Number(text);
  if (!(value > 0) || value > 86_400)
    throw new InvalidArgumentError("It must be a number of seconds between 0 and 86400.");
  return value * 1000;
}
