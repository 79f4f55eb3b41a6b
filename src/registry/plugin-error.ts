/** The reason why a plugin is unusable. */
export type PluginErrorCode =
  | "not-found"
  | "not-loadable"
  | "no-export"
  | "wrong-version"
  | "bad-definition"
  | "bad-schema"
  | "bad-config"
  | "not-open";

/** The affected plugin or tool, and the problem as a sentence without its full stop. */
export interface PluginProblem {
  readonly code: PluginErrorCode;
  readonly reason: string;
  /** The plugin as named in the configuration: a package or a path. */
  readonly plugin?: string | undefined;
  readonly tool?: string | undefined;
}

/** Thrown for an unusable plugin. The message is one sentence that names it. */
export class PluginError extends Error {
  override readonly name: string = "PluginError";
  readonly code: PluginErrorCode;
  readonly reason: string;
  readonly plugin: string | undefined;
  readonly tool: string | undefined;

  constructor(problem: PluginProblem, options?: ErrorOptions) {
    super(messageOf(problem), options);
    ({ code: this.code, reason: this.reason, plugin: this.plugin, tool: this.tool } = problem);
  }

  /** Returns the same error with the name of the plugin that contains the tool. */
  ofPlugin(plugin: string): PluginError {
    const { code, reason, tool } = this;
    return new PluginError({ code, reason, plugin, tool }, { cause: this.cause });
  }
}

function messageOf({ reason, plugin, tool }: PluginProblem): string {
  if (plugin === undefined && tool === undefined) return reason;
  const subject = plugin !== undefined && tool !== undefined ? `${plugin}, tool ${tool}` : (plugin ?? tool);
  return `Plugin ${subject}: ${reason}.`;
}
