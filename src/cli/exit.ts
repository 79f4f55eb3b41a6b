/** Exit codes of the command line, for scripts. */
export const exit = {
  /** Success. */
  done: 0,
  /** Wrong usage or configuration. */
  wrongUse: 1,
  /** The service answered with an outcome other than OK. */
  notOk: 2,
  /** The service is unreachable. */
  unreachable: 3,
} as const;

/** Ends a command. Its message, whole sentences on separate lines, is for people; its code is for scripts. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly code: number;

  constructor(message: string, code: number = exit.wrongUse) {
    super(message);
    this.code = code;
  }
}
