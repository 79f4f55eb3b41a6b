/** What proves a tool to its downstream. The tool itself never sees it. */
export interface Credential {
  /** The headers to send. Throws a TokenError where there is no token. */
  headers(): Promise<Readonly<Record<string, string>>>;
  /** Texts that no answer, log line or error may show. */
  readonly secrets: readonly string[];
  /** Other headers than those that a 401 turned away. Undefined where there are none. */
  renew(refused: Readonly<Record<string, string>>): Promise<Readonly<Record<string, string>> | undefined>;
}
