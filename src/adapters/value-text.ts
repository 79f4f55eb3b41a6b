import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";

/**
 * Returns the JSON text of a successful result's value; undefined if it has none. The executor's own results provide
 * the text: creating the value and serialising it again would cost more than the rest of an answer.
 */
export function valueText(result: ToolResult & { readonly valueText?: unknown }): string | undefined {
  const ready = result.valueText;
  if (typeof ready === "string") return ready === "" ? undefined : ready;
  const kind = result.value?.kind;
  if (kind?.case === undefined) return undefined;
  // The output of a string is the string itself; the output of any other value is its JSON.
  return kind.case === "stringValue" ? JSON.stringify(kind.value) : result.output;
}
