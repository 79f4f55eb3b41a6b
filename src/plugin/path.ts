import { ToolError } from "./tool-error.ts";

/**
 * Builds a URL path in which every interpolated value is exactly one segment: ``path`/orders/${orderId}` ``. Throws a
 * ToolError for `.`, `..` and the empty string, which no encoding protects from being interpreted or dropped.
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
