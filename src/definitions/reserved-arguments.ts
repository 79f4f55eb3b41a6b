import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";

/**
 * Members of a plain HTTP body that have the meaning of headers. No tool can have an argument with one of these names.
 */
const reserved = ["jackfieldConversationId", "jackfieldCallId"];

/** Finds arguments of a tool that would never reach it. Returns one sentence for each. */
export function reservedArguments({ name, inputSchema }: Tool): string[] {
  const properties = inputSchema?.["properties"];
  if (typeof properties !== "object" || properties === null) return [];
  return reserved
    .filter((argument) => Object.hasOwn(properties, argument))
    .map(
      (argument) => `tool ${name} must not have an argument ${argument}: it replaces a header at POST /tools/${name}.`,
    );
}
