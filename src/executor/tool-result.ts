import type { Outcome, ToolCall, ToolResult, Violation } from "../../gen/jackfield/v1/tool_pb.ts";

/** The call that a result answers. */
export interface AnsweredCall {
  readonly call: Pick<ToolCall, "id" | "name">;
}

/** Creates the result of a call that ended with an error. */
export function errorResult(
  { call }: AnsweredCall,
  outcome: Outcome,
  message: string,
  violations: Violation[] = [],
): ToolResult {
  return {
    $typeName: "jackfield.v1.ToolResult",
    callId: call.id,
    name: call.name,
    outcome,
    output: message,
    value: undefined,
    error: { $typeName: "jackfield.v1.ToolError", message, violations },
    truncated: false,
    replayed: false,
    attempts: 0,
    duration: undefined,
  };
}
