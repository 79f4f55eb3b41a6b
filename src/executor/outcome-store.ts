import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Claim, Retention, Ledger } from "../ledger/ledger.ts";

/** Stores outcomes of calls whose intents the ledger holds. */
export interface OutcomeStore {
  /** Resolves with the result to answer with: another owner may have ended the call. Never rejects. */
  store(claim: Claim, result: ToolResult, keep: Retention): Promise<ToolResult>;
  /** Outcomes that wait for the store. */
  readonly behind: number;
}

/** Makes the store; `onEnd` is called when those that had to wait have been stored. */
export function createOutcomeStore(ledger: Ledger, onEnd: () => void): OutcomeStore {
  return {
    async store(claim, result, keep) {
      const finished = await ledger.finish(claim, result, keep);
      if (finished.state === "deferred") void ledger.settled().then(onEnd);
      return finished.state === "superseded" ? (finished.entry.result ?? result) : result;
    },
    get behind() {
      return ledger.pendingOutcomes;
    },
  };
}
