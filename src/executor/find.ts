import type { Caller } from "../auth/caller.ts";
import { allowsTool } from "../auth/caller.ts";
import type { CompiledTool, Registry } from "../registry/registry.ts";

/** Longest name that is looked up, in characters. */
const longestName = 128;

/**
 * Stage 1. Finds the tool of a call: `unknown` where there is none, `denied` where the caller may not use it. A name
 * that no tool can have is unknown like any other.
 */
export function findTool(registry: Registry, name: string, caller: Caller): CompiledTool | "unknown" | "denied" {
  const tool = name.length <= longestName ? registry.get(name, caller.tenant) : undefined;
  if (tool === undefined) return "unknown";
  return allowsTool(caller, name) ? tool : "denied";
}
