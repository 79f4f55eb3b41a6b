import type { Tool } from "../../gen/jackfield/v1/tool_pb.ts";
import { allowsTool, type Caller } from "../auth/caller.ts";
import type { Registry } from "../registry/registry.ts";

/** Returns the tools that a caller may see and use, sorted by name. */
export function toolsVisibleTo(caller: Caller, registry: Registry): Tool[] {
  return registry.list(caller.tenant).flatMap((tool) => (allowsTool(caller, tool.name) ? [tool.message] : []));
}
