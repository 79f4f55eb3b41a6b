import type { SanitizeMode } from "./plugin/tool.ts";

/**
 * JSON Schema of one setting, with annotations: where its value comes from beside the configuration file, and whether it is
 * a secret. Plugins declare the members of their `configSchema` in the same way.
 */
export interface SettingSchema {
  readonly type: "string" | "integer" | "number" | "boolean" | "array" | "object";
  readonly description: string;
  /** Variable that holds the value. It goes before the file. A secret may also come as `NAME_FILE`. */
  readonly env?: string;
  readonly secret?: boolean;
  /**
   * `uri`: an HTTP URL. `origins`: a list of origins. `named-keys`: one key, or `name:key,name:key` in a variable.
   * `signature`: how requests are signed, an object of the file.
   */
  readonly format?: "uri" | "origins" | "named-keys" | "signature";
  readonly [keyword: string]: unknown;
}

/** Settings that every adapter has, under `adapters.NAME`. */
export interface AdapterSettings {
  /** Longest time until an answer, in milliseconds. */
  readonly answerWithinMs: number;
  readonly sanitize: SanitizeMode;
  /** Longest output in bytes. */
  readonly maxOutput: number;
  /** Serve it on other than loopback without a key. */
  readonly allowUnauthenticated: boolean;
  readonly enabled: boolean;
}

/**
 * What the configuration has to know of an adapter: the settings of its own, `Own`, and whether it is open to everybody.
 */
export interface AdapterConfiguration<Own extends object = object> {
  /** Key under `adapters:`. */
  readonly name: string;
  /** As messages call it: `Genesys adapter`. */
  readonly title: string;
  /** Names of the credentials that the adapter offers to tools. */
  readonly credentials?: readonly string[];
  readonly defaults: Pick<AdapterSettings, "answerWithinMs" | "maxOutput">;
  readonly settings: Readonly<Record<string, SettingSchema>>;
  /** Completes the values that were given. Reports what is wrong with them, in whole sentences. */
  complete(given: Partial<Own>, report: (problem: string) => void): Own;
  /**
   * The variable to set where the adapter is open to everybody. Undefined where a key is needed. Left out by adapters whose
   * requests act as the configured callers: they are as open as the RPC.
   */
  openUnless?(settings: Own): string | undefined;
  /** URLs under which the service is known to its clients. */
  publicUrls?(settings: Own): readonly string[];
  /** The part of the sandbox that plays the platform while none of the settings in `unless` is given. */
  readonly sandbox?: {
    readonly part: string;
    readonly unless: readonly string[];
    /** The settings with which the platform is played at `url`. */
    play(settings: Own, url: string): Own;
  };
}
