import { Outcome, type ToolResult, type Violation } from "../../gen/jackfield/v1/tool_pb.ts";

/** Returns how a call's arguments violate its tool's schema. Empty where they were refused for another reason. */
export function violationsOf(result: ToolResult): readonly Violation[] {
  return result.outcome === Outcome.INVALID_ARGUMENTS ? (result.error?.violations ?? []) : [];
}

/** Writes `PATH: MESSAGE` for each violation. */
export function violationList(violations: readonly Violation[], separator: string): string {
  return violations.map(({ path, message }) => `${path}: ${message}`).join(separator);
}
