import type { CompiledTool, Registry } from "../registry/registry.ts";
import { parseRegistrationKey } from "./registration.ts";

/** A stored tool as loaded by this process. */
export interface LoadedTool {
  /** The stored text. */
  readonly text: string;
  /** Undefined if the tool cannot be offered: then `note` gives the reason. */
  readonly tool: CompiledTool | undefined;
  readonly note: string | undefined;
}

/** The registered tools that this process has loaded, by key. Keeps the registry in step. */
export interface LoadedTools {
  get(key: string): LoadedTool | undefined;
  keys(): string[];
  /** Replaces the tool with this key; undefined removes it. */
  swap(key: string, next: LoadedTool | undefined): void;
  /** Returns the reasons why tools cannot be offered, one sentence each. */
  notes(): string[];
}

/** Creates the table of loaded tools over a registry. */
export function createLoadedTools(registry: Registry): LoadedTools {
  const loaded = new Map<string, LoadedTool>();
  return {
    get: (key) => loaded.get(key),
    keys: () => [...loaded.keys()],
    swap(key, next) {
      const { tenant, name } = parseRegistrationKey(key);
      const before = loaded.get(key)?.tool;
      if (next === undefined) loaded.delete(key);
      else loaded.set(key, next);
      if (next?.tool !== undefined) registry.put(next.tool, tenant);
      else if (before !== undefined) registry.remove(name, tenant);
      // Running calls keep the tool that they started with: it closes when the last of them has ended.
      void before?.close();
    },
    notes: () =>
      [...loaded]
        .flatMap(([key, { note }]) => (note === undefined ? [] : [`tool ${parseRegistrationKey(key).name}: ${note}`]))
        .sort(),
  };
}
