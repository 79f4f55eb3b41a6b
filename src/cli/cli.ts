import { Command, CommanderError } from "commander";
import { ConfigError } from "../config/config-error.ts";
import type { CliHost } from "./cli-host.ts";
import { commandsFor } from "./commands.ts";
import { CliError, exit } from "./exit.ts";
import { printable } from "./printable.ts";
import { openSession } from "./session.ts";

/**
 * Runs one command and resolves with its exit code: 0 for success, 1 for wrong usage or configuration, 2 for an outcome
 * other than OK, 3 if the service is unreachable. Never rejects. Without arguments it runs `serve`.
 */
export async function runCli(argv: readonly string[], host: CliHost): Promise<number> {
  let code: number = exit.done;
  const program = createProgram(host);
  for (const add of await commandsFor(argv))
    add(program, (command) => openSession(host, command, (finished) => (code = finished)));
  try {
    await program.parseAsync(argv.length === 0 ? ["serve"] : [...argv], { from: "user" });
    return code;
  } catch (reason) {
    // Commander has already printed its message.
    if (reason instanceof CommanderError) return reason.exitCode === 0 ? exit.done : exit.wrongUse;
    for (const sentence of sentencesOf(reason)) host.stderr.write(`${printable(sentence)}\n`);
    return reason instanceof CliError ? reason.code : exit.wrongUse;
  }
}

function createProgram({ version, stdout, stderr }: CliHost): Command {
  return new Command("jackfield")
    .description(
      "Runs the tools of contact-centre LLMs: one execution path behind Genesys Cloud, NICE Cognigy.AI, Connect and gRPC.",
    )
    .version(version)
    .option("--url <URL>", "URL of the service (default: http://127.0.0.1:PORT, PORT from the environment or 8080)")
    .option("--key <KEY>", "API key; JACKFIELD_API_KEY keeps it out of the process list")
    .option("--json", "print JSON for machines")
    .exitOverride()
    .configureOutput({ writeOut: (text) => void stdout.write(text), writeErr: (text) => void stderr.write(text) })
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError("(add --help for usage)")
    .addHelpText(
      "after",
      `
Exit codes: 0 done, 1 wrong use or configuration, 2 answered with an outcome other than OK, 3 not reached.

Examples:
  jackfield serve                                        serve; without any command as well
  jackfield tools                                        what can be called
  jackfield call get_weather '{"location":"London"}'     call it
  jackfield help call                                    more about one command
`,
    );
}

function sentencesOf(reason: unknown): readonly string[] {
  if (reason instanceof ConfigError) return reason.problems;
  return [
    reason instanceof Error && reason.message !== "" ? reason.message : "The command failed for an unknown reason.",
  ];
}
