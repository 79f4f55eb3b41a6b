import type { CallerSettings, SignatureSettings } from "../config/caller-settings.ts";
import type { Scope } from "../config/scope.ts";
import type { SanitizeMode } from "../plugin/tool.ts";

export type { SanitizeMode, Scope, SignatureSettings };

/** The authenticated sender of a request: its identity and its rights. */
export interface Caller extends CallerSettings {
  /** Set for adapters: how string arguments are sanitised when the tool does not specify it. */
  readonly sanitize?: SanitizeMode;
  /** Set for adapters: maximum size of an output in bytes. */
  readonly maxOutputBytes?: number;
  /** Set for adapters whose call ids are unique by themselves: their calls are deduplicated without a scope. */
  readonly uniqueCallIds?: boolean;
}

/** Reports whether the caller may see and use the tool of this name. */
export function allowsTool(caller: Caller, tool: string): boolean {
  const patterns = caller.tools;
  if (patterns === undefined) return true;
  for (let index = 0; index < patterns.length; index += 1) {
    if (matchesPattern(patterns[index]!, tool)) return true;
  }
  return false;
}

/**
 * Reports whether a name matches a pattern in which `*` stands for any text. Takes at most the product of both lengths,
 * never exponential time.
 */
export function matchesPattern(pattern: string, name: string): boolean {
  let p = 0;
  let n = 0;
  let star = -1;
  let resume = 0;
  while (n < name.length) {
    if (pattern[p] === "*") {
      star = p++;
      resume = n;
    } else if (pattern[p] === name[n]) {
      p += 1;
      n += 1;
    } else if (star >= 0) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[p] === "*") p += 1;
  return p === pattern.length;
}
