import { addServe } from "./serve.ts";
import type { AddCommand } from "./session.ts";

/** The commands that a command line needs: the service does not wait at its start for what only people use. */
export async function commandsFor(argv: readonly string[]): Promise<readonly AddCommand[]> {
  const serves = argv.length === 0 || (argv.length === 1 && argv[0] === "serve");
  return serves ? [addServe] : (await import("./every-command.ts")).everyCommand;
}
