import type { Logger } from "pino";
import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";
import type { Retention, Ledger } from "../ledger/ledger.ts";

/** Stores outcomes of calls whose intents the ledger holds. */
export interface OutcomeStore {
  /** Resolves when the outcome is durable, or when it is known that it has to wait for the store. Never rejects. */
  store(key: string, result: ToolResult, keep: Retention): Promise<void>;
  /** Outcomes that wait for the store. */
  readonly behind: number;
}

/** Pause before the first and before any later try, in milliseconds. */
const pauseMs = { first: 100, longest: 2000 };

/** Makes the store; `onEnd` is told when one that had to wait has been stored. */
export function createOutcomeStore(ledger: Ledger, log: Logger, onEnd: () => void): OutcomeStore {
  let behind = 0;

  async function catchUp(key: string, result: ToolResult, keep: Retention): Promise<void> {
    behind += 1;
    for (let pause = pauseMs.first; ; pause = Math.min(pause * 2, pauseMs.longest)) {
      // Not held open by it: whoever takes over from this process settles the call.
      await new Promise((resolve) => void setTimeout(resolve, pause).unref());
      const stored = await ledger.finish(key, result, keep).then(
        () => true,
        () => false,
      );
      if (stored) break;
    }
    behind -= 1;
    onEnd();
  }

  return {
    async store(key, result, keep) {
      try {
        await ledger.finish(key, result, keep);
      } catch (cause) {
        // DANGER: an answer must not leave before the outcome is durable. Where the store fails now, the effect has
        // already happened: the answer is still true. It is stored as soon as the store is back; should this process end
        // before that, a repeat finds the intent and is told so honestly.
        log.error({ err: cause, tool: result.name }, "the outcome of a call could not be stored; it is tried again");
        void catchUp(key, result, keep);
      }
    },
    get behind() {
      return behind;
    },
  };
}
