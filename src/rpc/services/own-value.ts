import type { ToolResult } from "../../../gen/jackfield/v1/tool_pb.ts";
import { isFromJson, resultWith } from "../../executor/outcome.ts";

/**
 * The result with its value as a property of its own, as a message that leaves the process needs it: protobuf does not see
 * one that is made on demand.
 */
export function withOwnValue(result: ToolResult): ToolResult {
  return isFromJson(result) ? resultWith(result, {}) : result;
}
