/** A registered tool as it is stored. */
export interface RegisteredTool {
  /** Tenant and name, as `registration.ts` writes them. */
  readonly key: string;
  /** Its registration as JSON text, the target's headers included. */
  readonly text: string;
}

/** What is stored, and the version by which a change is noticed. */
export interface RegisteredState {
  readonly version: string;
  readonly tools: readonly RegisteredTool[];
}

/** Keeps registered tools over restarts, on all replicas. Rejects with a StoreUnavailableError. */
export interface RegisteredTools {
  /** True where other processes write too: then changes must be looked for. */
  readonly shared: boolean;
  /** All that is stored; undefined where nothing has changed since `known`. */
  load(known?: string): Promise<RegisteredState | undefined>;
  /** Stores a tool in place of one with the same key. Durable when it resolves. */
  save(tool: RegisteredTool): Promise<void>;
  /** Stores a tool in place of one with the same key, if its text still is `before`. */
  replace(tool: RegisteredTool, before: string): Promise<void>;
  /** Deletes a tool, if it is there. */
  remove(key: string): Promise<void>;
  /** Ends its own work; the store stays open. */
  close(): Promise<void>;
}
