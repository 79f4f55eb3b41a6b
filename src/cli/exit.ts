/** Exit codes of the command line, for scripts. */
export const exit = {
  /** Done. */
  done: 0,
  /** Wrong use, or a wrong configuration. */
  wrongUse: 1,
  /** The service answered, and not with OK. */
  notOk: 2,
  /** The service could not be reached. */
  unreachable: 3,
} as const;

/** Ends a command: its message, in whole sentences one a line, is for the person, its code for the script. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly code: number;

  constructor(message: string, code: number = exit.wrongUse) {
    super(message);
    this.code = code;
  }
}
