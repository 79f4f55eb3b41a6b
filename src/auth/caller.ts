import type { CallerSettings, SignatureSettings } from "../config/caller-settings.ts";
import type { Scope } from "../config/scope.ts";
import type { SanitizeMode } from "../plugin/tool.ts";

export type { SanitizeMode, Scope, SignatureSettings };

/** The authenticated sender of a request: who it is and what it may do. */
export interface Caller extends CallerSettings {
  /** Set for adapters: how string arguments are sanitised when the tool does not say. */
  readonly sanitize?: SanitizeMode;
  /** Set for adapters: maximum size of an output in bytes. */
  readonly maxOutputBytes?: number;
  /** Set for adapters whose call ids are unique by themselves: their calls are deduplicated without a scope. */
  readonly uniqueCallIds?: boolean;
}

/** Tells whether the caller may use and see the tool of this name. */
export function allowsTool(caller: Caller, tool: string): boolean {
  const patterns = caller.tools;
  if (patterns === undefined) return true;
  for (let index = 0; index < patterns.length; index += 1) {
    if (matchesPattern(patterns[index]!, tool)) return true;
  }
  return false;
}

/** Tells whether a name matches a pattern in which `*` stands for any text. Linear in practice, never exponential. */
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
