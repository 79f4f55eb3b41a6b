/** A registered tool as it is stored: its definition and its target as JSON text, headers included. */
export interface RegisteredTool {
  readonly name: string;
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
  /** Stores a tool in place of one with the same name. Durable when it resolves. */
  save(tool: RegisteredTool): Promise<void>;
  /** Takes a tool out; none there is no fault. */
  remove(name: string): Promise<void>;
  /** Ends its own work; the store stays open. */
  close(): Promise<void>;
}
