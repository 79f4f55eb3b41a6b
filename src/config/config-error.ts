/** Thrown for an unusable configuration. `problems` are whole sentences, one per problem, and contain no secret. */
export class ConfigError extends Error {
  override readonly name: string = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}
