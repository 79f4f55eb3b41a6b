import type { Schema, Tool, ToolDefinition } from "./tool.ts";

/**
 * Declares a tool: a name, a description, schemas, an effect and the function that does the work. The types of arguments,
 * configuration and state follow from the schemas and from `open`. A plugin package exports the result as its default.
 *
 * ```ts
 * export default defineTool({
 *   name: "get_order_status",
 *   description: "Looks up the status of an order.",
 *   inputSchema: { type: "object", properties: { order_id: { type: "string" } }, required: ["order_id"] },
 *   effect: "read",
 *   async execute({ order_id }, { http }) {
 *     return (await http.get(path`/orders/${order_id}`)).json();
 *   },
 * });
 * ```
 */
export function defineTool<const Input extends Schema, const Config extends Schema = Schema, State = undefined>(
  definition: ToolDefinition<Input, Config, State>,
): Tool<Input, Config, State> {
  return { ...definition, apiVersion: 1 };
}
