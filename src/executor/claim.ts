import type { CallScope } from "../ledger/ledger.ts";
import type { CompiledTool } from "../registry/registry.ts";
import type { Progress, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";

/** One execution going on in this process, and those who wait for it. */
export interface Execution {
  /** Id of the call, made up where the caller gave none. */
  readonly callId: string;
  readonly tool: CompiledTool;
  /** Key in the ledger; undefined where the call is not deduplicated. */
  readonly key: string | undefined;
  /** What it is found by when somebody asks for it; also without a key. */
  readonly lookup: string;
  readonly digest: string;
  readonly read: boolean;
  /** It was given up: whoever comes now starts afresh. */
  readonly cancelled: boolean;
  /** Callers that wait. The last one to go cancels a `read`. */
  waiters: number;
  /** Somebody was told that it goes on: it is never cancelled, and its end is recorded. */
  outlived: boolean;
  /** Present once it has ended. */
  readonly result: ToolResult | undefined;
  readonly ended: Promise<ToolResult>;
  listen(listener: (progress: Progress) => void): void;
  /** Records that it outlives its answer deadline, so that any replica can answer for it. */
  outlive(): void;
  cancel(): void;
}

/** The answer of a call that has ended, kept in memory. */
export interface RecentAnswer {
  readonly toolName: string;
  readonly digest: string;
  readonly result: ToolResult;
  /** The same call again gets it; otherwise it is only shown to those who ask by id. */
  readonly replay: boolean;
  readonly scope: CallScope;
}

/** What this process knows of calls by key: those that run, and the latest answers of those that left no trace on disk. */
export interface Claims {
  running(lookup: string): Execution | undefined;
  recent(lookup: string): RecentAnswer | undefined;
  start(execution: Execution): void;
  /** Takes the execution off the running ones. */
  end(execution: Execution): void;
  /** Keeps the answer of a call that has ended, or forgets the one before where there is none to keep. */
  keep(lookup: string, answer: RecentAnswer | undefined): void;
  forgetConversation(tenant: string, conversationId: string): void;
  all(): Iterable<Execution>;
  readonly count: number;
}

/** Stage 5. Creates the memory of running and recent calls, with at most `recentEntries` answers. */
export function createClaims(recentEntries: number): Claims {
  const running = new Map<string, Execution>();
  // Cancelled ones in whose scope the same call has started afresh.
  const replaced = new Set<Execution>();
  const recent = createRecentAnswers(recentEntries);
  return {
    running: (lookup) => running.get(lookup),
    recent: recent.get,
    start(execution) {
      const before = running.get(execution.lookup);
      if (before !== undefined) replaced.add(before);
      running.set(execution.lookup, execution);
    },
    end(execution) {
      if (running.get(execution.lookup) === execution) running.delete(execution.lookup);
      else replaced.delete(execution);
    },
    keep(lookup, answer) {
      if (answer === undefined) recent.delete(lookup);
      else recent.set(lookup, answer);
    },
    forgetConversation: recent.forgetConversation,
    all: () => [...running.values(), ...replaced],
    get count() {
      return running.size + replaced.size;
    },
  };
}

/**
 * Keeps the latest answers, between half of `most` and all of it. Two maps, of which the older one is dropped whole: taking
 * entries out one by one costs more than all else that is done with them.
 */
function createRecentAnswers(most: number) {
  let older = new Map<string, RecentAnswer>();
  let newer = new Map<string, RecentAnswer>();
  return {
    get: (lookup: string): RecentAnswer | undefined => newer.get(lookup) ?? older.get(lookup),
    set(lookup: string, answer: RecentAnswer): void {
      if (newer.size * 2 >= most) {
        if (most === 0) return;
        older = newer;
        newer = new Map();
      }
      newer.set(lookup, answer);
    },
    delete(lookup: string): void {
      newer.delete(lookup);
      older.delete(lookup);
    },
    forgetConversation(tenant: string, conversationId: string): void {
      for (const answers of [newer, older]) {
        for (const [lookup, { scope }] of answers) {
          if (scope.tenant === tenant && scope.conversationId === conversationId) answers.delete(lookup);
        }
      }
    },
  };
}
