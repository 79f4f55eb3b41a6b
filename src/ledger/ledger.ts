import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Effect } from "../plugin/tool.ts";

/** Where a call was made. Together with its id it identifies repeats. Empty text where a part is not given. */
export interface CallScope {
  tenant: string;
  source: string;
  conversationId: string;
  sessionId: string;
  runId: string;
  /** Set where the source promises ids that are unique by themselves: then a call needs no scope. */
  uniqueCallIds?: true;
}

/** A call that is about to run: what is stored before the tool's function starts. */
export interface Intent {
  /** The same for every repeat of the call, and for no other call. */
  key: string;
  /** Digest of the canonical JSON of the arguments, before sanitising. */
  digest: string;
  callId: string;
  tool: string;
  effect: Effect;
  /** The parsed arguments as JSON text, so that the call can be continued after a crash. */
  argumentsJson: string;
  scope: CallScope;
  /** Execution deadline of the run, in milliseconds. */
  timeoutMs: number;
}

/** What is known of a call. Times are Unix milliseconds by the store's clock. */
export interface LedgerEntry extends Intent {
  /** `running` includes entries whose owner died and that nobody has taken over yet. */
  state: "running" | "done" | "uncertain";
  /** Present unless `running`. */
  result: ToolResult | undefined;
  /** When the call was begun first. */
  createdAt: number;
  /** The latest instant at which the current run can still send anything. A `write` is not taken over before. */
  endsAt: number;
  /**
   * Why what is stored of the call cannot be read, as where its key is missing. Its arguments are then not known; unless it
   * runs it is `uncertain`, and its result says so.
   */
  unreadable?: string;
}

/**
 * Proof that an entry belongs to this process: its owner and the attempt by which it was acquired. Opaque: hand it back to
 * `finish`, `release` or `restart` of the ledger that issued it.
 */
export interface Claim {
  readonly key: string;
  readonly attempt: number;
  /**
   * The `performance.now()` value until which the run may start and may let requests out. Later another replica may have
   * taken the call over.
   */
  readonly sendUntil: number;
}

/** An entry that was taken over from an owner that died. */
export interface AbandonedCall {
  readonly entry: LedgerEntry;
  readonly claim: Claim;
}

/** Answer to `begin`. */
export type BeginResult =
  /** The intent is stored and ours: run it. */
  | { readonly state: "new"; readonly claim: Claim }
  /** Its owner died before the outcome was stored. The entry is ours now; its stored effect decides what may be done. */
  | ({ readonly state: "abandoned" } & AbandonedCall)
  /** It runs in this process or another, or its owner died and its run may not have ended yet. */
  | { readonly state: "running"; readonly entry: LedgerEntry }
  /** It ended (done or uncertain): answer with the stored result. */
  | { readonly state: "ended"; readonly entry: LedgerEntry }
  /** The key is known with another digest. */
  | { readonly state: "conflict" };

/** What became of an outcome. */
export type RecordedOutcome =
  /** It is durable, or was already. */
  | { readonly state: "stored" }
  /** Another owner has the entry or has ended it: answer with what is stored. */
  | { readonly state: "superseded"; readonly entry: LedgerEntry };

/** Answer to `finish`. */
export type FinishResult =
  | RecordedOutcome
  /** The store is away: the ledger stores the outcome as soon as it is back. Until `recorded` resolves it is not durable. */
  | { readonly state: "deferred"; readonly recorded: Promise<RecordedOutcome> };

/** Answer to `restart`. */
export type RestartResult =
  | { readonly state: "restarted"; readonly claim: Claim }
  | { readonly state: "superseded"; readonly entry: LedgerEntry | undefined };

/**
 * What becomes of an entry when its call ends.
 * `replay`: kept; the same call again gets it. `show`: kept for callers that ask by id; the same call again runs again.
 * `drop`: forgotten.
 */
export type Retention = "replay" | "show" | "drop";

/** Which ended entries `erase` removes: those of a conversation, of a run (or of both), or those past their retention. */
export type EraseSelector =
  | {
      readonly tenant: string;
      /** Any source where it is not given. */
      readonly source?: string | undefined;
      readonly conversationId?: string | undefined;
      readonly runId?: string | undefined;
    }
  /** Ended at least so many milliseconds ago; UNCERTAIN entries have an age of their own. */
  | LedgerRetention;

/** Which ended entries are too old, by the time since they ended. */
export interface LedgerRetention {
  readonly olderThanMs: number;
  readonly uncertainOlderThanMs: number;
}

/** Selects the calls of a conversation or a run. */
export type CallSelector = Extract<EraseSelector, { readonly tenant: string }>;

/**
 * The ledger: what is known of each call by its key. docs/guarantees.md states the protocol. Unless said otherwise a
 * promise resolves when the change is as durable as the store makes it, and rejects with a LedgerUnavailableError when the
 * store cannot be reached: then nothing has been promised.
 */
export interface Ledger {
  /** Stores the intent unless the key is known. Atomic over all replicas. An entry kept for `show` counts as unknown. */
  begin(intent: Intent): Promise<BeginResult>;
  /**
   * Records how a call ended, only for the owner and attempt of the claim. An entry that the store has lost is written
   * anew. One that became UNCERTAIN, by this owner or by another that took it over without running it, is settled with
   * what this owner knows; a definitive answer is never replaced. Never rejects.
   */
  finish(claim: Claim, result: ToolResult, retention: Retention): Promise<FinishResult>;
  /** Gives an intent back whose run has not started: the same call may begin again. Never rejects; retried like `finish`. */
  release(claim: Claim): Promise<void>;
  /**
   * States that this process runs an abandoned `write` again itself, with so much time. The former owner can no longer
   * settle the entry: its run and this one are two.
   */
  restart(claim: Claim, timeoutMs: number): Promise<RestartResult>;
  /** What is known of a key. */
  find(key: string): Promise<LedgerEntry | undefined>;
  /**
   * Takes over up to `limit` running entries whose owner died, a `write` only once its run must have ended. Gives entries
   * of this owner back that no claim holds, such as an intent whose commit came after its caller had been refused.
   */
  recover(limit: number): Promise<AbandonedCall[]>;
  /** Forgets ended entries. Returns how many. */
  erase(selector: EraseSelector): Promise<number>;
  /** Outcomes that wait for the store. */
  readonly pendingOutcomes: number;
  /** Resolves when no outcome waits for the store. */
  settled(): Promise<void>;
  /** Rejects where the store cannot take an intent now. */
  ping(): Promise<void>;
  /** What an operator should know although the ledger works: clocks that differ. */
  notes(): string[];
  close(): Promise<void>;
}

/** The store cannot be reached or cannot write; nothing has been promised to anybody. */
export class LedgerUnavailableError extends Error {
  override readonly name: string = "LedgerUnavailableError";
}
