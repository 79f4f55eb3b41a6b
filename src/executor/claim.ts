import type { CallPlace } from "../ledger/ledger.ts";
import type { Progress, ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";

/** One execution going on in this process, and those who wait for it. */
export interface Execution {
  /** Id of the call, made up where the caller gave none. */
  readonly callId: string;
  readonly tool: string;
  /** Key in the ledger; undefined where the call is not deduplicated. */
  readonly key: string | undefined;
  /** What it is found by when somebody asks for it; also without a key. */
  readonly lookup: string;
  readonly digest: string;
  readonly read: boolean;
  readonly listeners: ((progress: Progress) => void)[];
  /** It was given up: whoever comes now starts afresh. */
  isCancelled(): boolean;
  /** Callers that wait. The last one to go cancels a `read`. */
  waiters: number;
  /** Somebody was told that it goes on: it is never cancelled, and its end is recorded. */
  outlived: boolean;
  /** Present once it has ended. */
  result: ToolResult | undefined;
  readonly ended: Promise<ToolResult>;
  /** Records that it outlives its answer deadline, so that any replica can answer for it. */
  outlive(): void;
  cancel(): void;
}

/** The answer of a call that has ended, kept in memory. */
export interface RecentAnswer {
  readonly tool: string;
  readonly digest: string;
  readonly result: ToolResult;
  /** The same call again gets it; otherwise it is only shown to those who ask by id. */
  readonly replay: boolean;
  readonly place: CallPlace;
}

/** What this process knows of calls by key: those that run, and the latest answers of those that left no trace on disk. */
export interface Claims {
  running(lookup: string): Execution | undefined;
  recent(lookup: string): RecentAnswer | undefined;
  start(execution: Execution): void;
  /** Takes the execution off the running ones, and keeps its answer where one is given. */
  end(execution: Execution, answer: RecentAnswer | undefined): void;
  forgetConversation(tenant: string, conversationId: string): void;
  all(): Iterable<Execution>;
  readonly count: number;
}

/** Stage 5. Creates the memory of running and recent calls, with at most `recentEntries` answers. */
export function createClaims(recentEntries: number): Claims {
  const running = new Map<string, Execution>();
  const executions = new Set<Execution>();
  const recent = new Map<string, RecentAnswer>();
  // One iterator for good: a new one would walk over the holes that all deleted entries left, at every call.
  let oldest = recent.keys();
  const forgetOldest = (): void => {
    let next = oldest.next();
    if (next.done === true) next = (oldest = recent.keys()).next();
    if (next.done !== true) recent.delete(next.value);
  };
  return {
    running: (lookup) => running.get(lookup),
    recent: (lookup) => recent.get(lookup),
    start(execution) {
      executions.add(execution);
      running.set(execution.lookup, execution);
    },
    end(execution, answer) {
      executions.delete(execution);
      if (running.get(execution.lookup) === execution) running.delete(execution.lookup);
      recent.delete(execution.lookup);
      if (answer === undefined || recentEntries === 0) return;
      recent.set(execution.lookup, answer);
      if (recent.size > recentEntries) forgetOldest();
    },
    forgetConversation(tenant, conversationId) {
      for (const [lookup, { place }] of recent) {
        if (place.tenant === tenant && place.conversationId === conversationId) recent.delete(lookup);
      }
    },
    all: () => executions,
    get count() {
      return executions.size;
    },
  };
}
