import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Effect } from "../plugin/tool.ts";

/** Where a call was made: with its id, what makes a repeat of it recognisable. Empty text where there is none. */
export interface CallScope {
  tenant: string;
  source: string;
  conversationId: string;
  sessionId: string;
  runId: string;
}

/** A call that is about to run: what is stored before the tool's function starts. */
export interface Intent {
  /** See call-key.ts. */
  key: string;
  /** Digest of the canonical JSON of the arguments, before sanitising. */
  digest: string;
  callId: string;
  tool: string;
  effect: Effect;
  /** The parsed arguments as JSON text, so that the call can be taken up again after a crash. */
  argumentsJson: string;
  scope: CallScope;
}

/** What is known of a call. */
export interface LedgerEntry extends Intent {
  /** `running` covers intents whose owner died and whom nobody has taken over yet. */
  state: "running" | "done" | "uncertain";
  /** Present unless `running`. */
  result: ToolResult | undefined;
  /** Unix time in milliseconds, by the ledger's own clock (see store/clock.ts). */
  createdAt: number;
}

/** Answer to `begin`. */
export type BeginResult =
  /** The intent is stored and ours: run it. */
  | { state: "new" }
  /** Its owner died before the outcome was stored. It is ours now. */
  | { state: "abandoned"; entry: LedgerEntry }
  /** It runs, in this process or another. */
  | { state: "running"; entry: LedgerEntry }
  /** It ended (done or uncertain): answer with the stored result. */
  | { state: "ended"; entry: LedgerEntry }
  /** The key is known with another digest. */
  | { state: "conflict" };

/**
 * What becomes of an entry when its call ends.
 * `replay`: kept; the same call again gets it. `show`: kept for those who ask by id; the same call again runs again.
 * `drop`: forgotten.
 */
export type Retention = "replay" | "show" | "drop";

/**
 * The ledger: what is known of each call by its key. Every promise resolves when the change is as durable as the driver
 * makes it, and rejects with a LedgerUnavailableError when the store cannot be reached; then nothing has been promised.
 */
export interface Ledger {
  /** Stores the intent unless the key is known. Atomic over all replicas. An entry kept for `show` counts as unknown. */
  begin(intent: Intent): Promise<BeginResult>;
  /** Records how a call ended. Only the owner of the entry may; a late answer of a former owner is ignored. */
  finish(key: string, result: ToolResult, keep: Retention): Promise<void>;
  /** What is known of a key. */
  find(key: string): Promise<LedgerEntry | undefined>;
  /** Takes over up to `limit` running entries whose owner died: they are ours now. Empty where there are none. */
  takeOver(limit: number): Promise<LedgerEntry[]>;
  /** Forgets ended entries: those of one conversation, or those older than the window. Returns how many. */
  erase(which: { tenant: string; conversationId: string } | { olderThanMs: number }): Promise<number>;
  /** Rejects where the store cannot take an intent now. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** The store cannot be reached or cannot write; nothing has been promised to anybody. */
export class LedgerUnavailableError extends Error {
  override readonly name: string = "LedgerUnavailableError";
}
