import { ToolError } from "./tool-error.ts";

/**
 * Builds a URL path in which every interpolated value is exactly one segment: "`/orders/${orderId}`". Throws a ToolError
 * for `.`, `..` and the empty text, which no encoding keeps from being read as something else.
 */
export function path(literals: TemplateStringsArray, ...values: (string | number)[]): string {
  return values.reduce<string>((built, value, index) => {
    const segment = String(value);
    if (segment === "" || segment === "." || segment === "..") {
      throw new ToolError(`${JSON.stringify(segment)} cannot be used as an id.`);
    }
    return built + encodeURIComponent(segment) + literals[index + 1];
  }, literals[0] ?? "");
}
