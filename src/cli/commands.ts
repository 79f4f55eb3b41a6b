import { addServe } from "./serve.ts";
import type { AddCommand } from "./session.ts";

/** Imports only the commands that a command line needs, so that starting the service does not wait for the others. */
export async function commandsFor(argv: readonly string[]): Promise<readonly AddCommand[]> {
  const serves = argv.length === 0 || (argv.length === 1 && argv[0] === "serve");
  return serves ? [addServe] : (await import("./every-command.ts")).everyCommand;
}
