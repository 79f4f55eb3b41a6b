import { columns, printable } from "./printable.ts";
import type { AddCommand } from "./session.ts";

/** `jackfield check`: validates configuration and plugins without serving. */
export const addCheck: AddCommand = (program, open) => {
  program
    .command("check")
    .description("Load configuration and plugins, and report what was found, without listening.")
    .addHelpText(
      "after",
      `
Exit code 1 and one sentence per problem on stderr if the service would not start.

Examples:
  jackfield check
  JACKFIELD_CONFIG=prod.yaml jackfield check --json
`,
    )
    .action(async (_options, command) => {
      const session = open(command);
      const report = await session.host.check();
      if (session.json) return session.print(JSON.stringify(report));
      session.print(
        report.file === undefined
          ? "No configuration file: defaults and variables apply."
          : `Configuration: ${report.file}`,
      );
      session.print(
        `Would listen on ${report.url} with ${report.tools.length} tool${report.tools.length === 1 ? "" : "s"}:`,
      );
      const rows = report.tools.map(({ name, effect, version, use }) => [`  ${name}`, effect, version, use]);
      session.host.stdout.write(printable(columns(rows)));
      for (const line of report.notes) session.note(line);
    });
};
