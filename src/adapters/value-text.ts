import type { ToolResult } from "../../gen/jackfield/v1/tool_pb.ts";

/**
 * Returns the JSON text of a good result's value, undefined where it has none. The executor's own results have it at hand;
 * making the value and writing it again would cost more than the rest of an answer.
 */
export function valueText(result: ToolResult & { readonly valueText?: unknown }): string | undefined {
  const ready = result.valueText;
  if (typeof ready === "string") return ready === "" ? undefined : ready;
  const kind = result.value?.kind;
  if (kind?.case === undefined) return undefined;
  // The output of a text is the text itself, of everything else its JSON.
  return kind.case === "stringValue" ? JSON.stringify(kind.value) : result.output;
}
