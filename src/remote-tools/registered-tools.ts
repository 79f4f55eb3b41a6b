/** A registered tool in stored form. */
export interface RegisteredTool {
  /** Tenant and name, as encoded by `registration.ts`. */
  readonly key: string;
  /** Its registration as JSON text, including the target's headers. */
  readonly text: string;
}

/** The stored tools, and a version that changes with them. */
export interface RegisteredState {
  readonly version: string;
  readonly tools: readonly RegisteredTool[];
}

/** Stores registered tools durably, for all replicas. Rejects with a StoreUnavailableError. */
export interface RegisteredTools {
  /** True if other processes write too, so that changes must be polled for. */
  readonly shared: boolean;
  /** Loads all stored tools; undefined if nothing has changed since version `known`. */
  load(known?: string): Promise<RegisteredState | undefined>;
  /** Stores a tool, replacing one with the same key. Durable when it resolves. */
  save(tool: RegisteredTool): Promise<void>;
  /** Replaces the tool with the same key if its text still is `before`. */
  replace(tool: RegisteredTool, before: string): Promise<void>;
  /** Deletes a tool, if it exists. */
  remove(key: string): Promise<void>;
  /** Stops background work; the store stays open. */
  close(): Promise<void>;
}
