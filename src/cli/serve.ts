import type { AddCommand } from "./session.ts";

/** `jackfield serve`: runs the service. */
export const addServe: AddCommand = (program, open) => {
  program
    .command("serve")
    .description("Serve on HOST and PORT (http://127.0.0.1:8080 by default) until SIGTERM or SIGINT.")
    .addHelpText(
      "after",
      `
Examples:
  jackfield serve                                       the bundled tools and the sandbox, at once
  PORT=9000 JACKFIELD_CONFIG=prod.yaml jackfield serve  another port, your own configuration
  JACKFIELD_API_KEYS=crm:s3cret HOST=0.0.0.0 jackfield serve
`,
    )
    .action(async (_options, command) => {
      const session = open(command);
      session.finish(await session.host.serve());
    });
};
