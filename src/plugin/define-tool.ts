import type { Schema, Tool, ToolDefinition } from "./tool.ts";

/** Declares a tool. Arguments, configuration and state are typed from what is declared. */
export function defineTool<const Input extends Schema, const Config extends Schema = Schema, State = undefined>(
  definition: ToolDefinition<Input, Config, State>,
): Tool<Input, Config, State> {
  return { ...definition, apiVersion: 1 };
}
