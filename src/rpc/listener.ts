import { ExecuteToolResponseSchema } from "../../gen/jackfield/v1/tool_executor_pb.ts";
import { executeToolWriter } from "./fast-path/execute-tool-writer.ts";
import { createStockLane } from "./fallback.ts";
import { createUnaryLane, type RpcListener, type WireParts } from "./fast-path/fast-path.ts";

const writers = new Map([[ExecuteToolResponseSchema, executeToolWriter]]);

/**
 * Answers every RPC that comes from outside, over HTTP/1.1 and HTTP/2: mount it for the paths `/jackfield.v1.*` and
 * `/grpc.*`. Unary calls take the short lane, all else Connect's own handlers; which one cannot be told from the answers.
 */
export function createRpcListener(parts: WireParts): RpcListener {
  return createUnaryLane({ writers, ...parts }, createStockLane(parts));
}
