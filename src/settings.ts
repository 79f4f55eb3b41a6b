import type { SanitizeMode } from "./plugin/tool.ts";

/**
 * JSON Schema of one setting, with annotations: further sources of its value besides the configuration file, and
 * whether it is a secret. Plugins declare the members of their `configSchema` in the same way.
 */
export interface SettingSchema {
  readonly type: "string" | "integer" | "number" | "boolean" | "array" | "object";
  readonly description: string;
  /** Variable with the value. It takes precedence over the file. A secret may also be given by `NAME_FILE`. */
  readonly env?: string;
  readonly secret?: boolean;
  /**
   * `uri`: an HTTP URL. `origins`: a list of origins. `named-keys`: one key, or `name:key,name:key` in a variable.
   * `signature`: how requests are signed, an object in the file.
   */
  readonly format?: "uri" | "origins" | "named-keys" | "signature";
  readonly [keyword: string]: unknown;
}

/** Settings common to all adapters, under `adapters.NAME`. */
export interface AdapterSettings {
  /** Maximum time until an answer, in milliseconds. */
  readonly answerWithinMs: number;
  readonly sanitize: SanitizeMode;
  /** Maximum size of an output in bytes. */
  readonly maxOutput: number;
  /** Allows serving without a key on addresses other than loopback. */
  readonly allowUnauthenticated: boolean;
  readonly enabled: boolean;
}

/**
 * An adapter as the configuration sees it: its own settings, `Own`, and whether it accepts unauthenticated requests.
 */
export interface AdapterConfiguration<Own extends object = object> {
  /** Key under `adapters:`. */
  readonly name: string;
  /** Display name in messages, such as `Genesys adapter`. */
  readonly title: string;
  /** Names of the credentials that the adapter offers to tools. */
  readonly credentials?: readonly string[];
  readonly defaults: Pick<AdapterSettings, "answerWithinMs" | "maxOutput">;
  readonly settings: Readonly<Record<string, SettingSchema>>;
  /** Completes the given values. Reports problems in whole sentences. */
  complete(given: Partial<Own>, report: (problem: string) => void): Own;
  /**
   * Returns the variable to set if the adapter accepts unauthenticated requests; undefined if it requires a key. Absent
   * in adapters whose requests act as the configured callers: they are as open as the RPC.
   */
  openUnless?(settings: Own): string | undefined;
  /** Returns the public URLs of the service. */
  publicUrls?(settings: Own): readonly string[];
  /** The sandbox part that stands in for the platform while none of the settings in `unless` is given. */
  readonly sandbox?: {
    readonly part: string;
    readonly unless: readonly string[];
    /** Returns the settings that connect to the simulated platform at `url`. */
    play(settings: Own, url: string): Own;
  };
}
