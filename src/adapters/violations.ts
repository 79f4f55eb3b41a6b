import { Outcome, type ToolResult, type Violation } from "../../gen/jackfield/v1/tool_pb.ts";

/**
 * Returns the violations of the tool's schema in a call's arguments. Empty if the arguments were refused for another
 * reason.
 */
export function violationsOf(result: ToolResult): readonly Violation[] {
  return result.outcome === Outcome.INVALID_ARGUMENTS ? (result.error?.violations ?? []) : [];
}

/** Returns `PATH: MESSAGE` for each violation. */
export function violationList(violations: readonly Violation[], separator: string): string {
  return violations.map(({ path, message }) => `${path}: ${message}`).join(separator);
}

/** Truncates a text to at most `maxBytes` bytes of UTF-8, between two code points. */
export function cutText(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  let end = Math.max(0, maxBytes - 3);
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return `${bytes.toString("utf8", 0, end)}…`;
}
