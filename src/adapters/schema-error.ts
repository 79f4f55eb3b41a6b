import { Outcome, type ToolResult, type Violation } from "../../gen/jackfield/v1/tool_pb.ts";

/** The faults of a call's arguments against its tool's schema; empty where they were refused for another reason. */
export function violationsOf(result: ToolResult): readonly Violation[] {
  return result.outcome === Outcome.INVALID_ARGUMENTS ? (result.error?.violations ?? []) : [];
}

/** `PATH: MESSAGE` of each fault. */
export function violationList(violations: readonly Violation[], between: string): string {
  return violations.map(({ path, message }) => `${path}: ${message}`).join(between);
}
