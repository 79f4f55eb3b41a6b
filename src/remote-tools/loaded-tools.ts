import type { CompiledTool, Registry } from "../registry/registry.ts";
import { parseRegistrationKey } from "./registration.ts";

/** What this process made of one stored tool. */
export interface LoadedTool {
  /** The stored text. */
  readonly text: string;
  /** Undefined where the tool cannot be offered: then `note` says why. */
  readonly tool: CompiledTool | undefined;
  readonly note: string | undefined;
}

/** The registered tools that this process has loaded, by key. Keeps the registry in step. */
export interface LoadedTools {
  get(key: string): LoadedTool | undefined;
  keys(): string[];
  /** Puts a tool in place of the one with the same key; undefined takes it out. */
  swap(key: string, next: LoadedTool | undefined): void;
  /** Why tools cannot be offered, one sentence each. */
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
      // Calls that run keep the tool they started with: it is closed when the last of them has ended.
      void before?.close();
    },
    notes: () =>
      [...loaded]
        .flatMap(([key, { note }]) => (note === undefined ? [] : [`tool ${parseRegistrationKey(key).name}: ${note}`]))
        .sort(),
  };
}
