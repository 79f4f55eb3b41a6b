import type { ServiceImpl } from "@connectrpc/connect";
import type { Calls } from "../../../gen/jackfield/v1/calls_pb.ts";
import { rpcError } from "../../errors.ts";
import type { JobQueue } from "../../jobs/job-queue.ts";
import type { CallSelector } from "../../ledger/ledger.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { callerWith, checkId } from "./check-request.ts";

/** Dependencies of Calls. */
export interface CallsParts {
  /** Deletes the records of calls, in the ledger and in memory. Returns the number of calls. */
  readonly eraseCalls: (selector: CallSelector) => Promise<number>;
  readonly queue: Pick<JobQueue, "erase">;
  readonly telemetry: Pick<Telemetry, "audit" | "log">;
}

/** Creates the implementation of Calls. A caller can only erase records of its own tenant. */
export function createCalls({ eraseCalls, queue, telemetry }: CallsParts): ServiceImpl<typeof Calls> {
  return {
    async eraseConversation({ source, conversationId, runId }, context) {
      const { name: caller, tenant } = callerWith("calls:erase", context);
      checkId("source", source);
      checkId("conversation_id", conversationId);
      checkId("run_id", runId);
      if (conversationId === "" && runId === "")
        throw rpcError("invalid-request", "conversation_id or run_id must be set");
      const selector = { tenant, source, conversationId, runId };
      // Jobs are deleted first, because a remaining job would write new records of its calls.
      const jobs = await queue.erase(selector);
      const calls = await eraseCalls(selector);
      telemetry.audit.write({
        event: "conversation_erased",
        time: new Date().toISOString(),
        caller,
        tenant,
        source: source || undefined,
        conversation_id: conversationId || undefined,
        run_id: runId || undefined,
        calls,
        jobs,
      });
      telemetry.log.info({ caller, tenant, calls, jobs }, "records of a conversation were erased");
      return { calls, jobs };
    },
  };
}
