import type { ServiceImpl } from "@connectrpc/connect";
import type { Context } from "@opentelemetry/api";
import type {
  Conversations,
  RunConversationRequest,
  RunConversationResponse,
} from "../../../gen/jackfield/v1/conversations_pb.ts";
import type { Caller } from "../../auth/caller.ts";
import { rpcError } from "../../errors.ts";
import { callerWith, checkId, rpcCall } from "./check-request.ts";

/** Runs the loop between a model and the tools, and yields each turn, call and result. */
export type RunConversation = (
  request: RunConversationRequest,
  context: { readonly caller: Caller; readonly signal: AbortSignal; readonly trace: Context | undefined },
) => AsyncIterable<RunConversationResponse>;

/** Creates the implementation of Conversations. Without a loop its methods are unimplemented. */
export function createConversations(run: RunConversation | undefined): ServiceImpl<typeof Conversations> {
  return {
    runConversation(request, context) {
      const caller = callerWith("conversations:run", context);
      if (run === undefined) throw rpcError("unimplemented", "RunConversation");
      if (request.message === "") throw rpcError("invalid-request", "message must not be empty");
      checkId("conversation_id", request.conversationId);
      const { signal, trace } = rpcCall(context);
      return run(request, { caller, signal, trace });
    },
  };
}
