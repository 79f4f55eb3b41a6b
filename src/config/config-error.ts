/** A configuration that cannot be used. `faults` are whole sentences, one per fault; none holds a secret. */
export class ConfigError extends Error {
  override readonly name: string = "ConfigError";
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join("\n"));
    this.faults = faults;
  }
}
