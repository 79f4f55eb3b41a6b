import type { ServiceImpl } from "@connectrpc/connect";
import type { RegisterToolRequest, ToolRegistry } from "../../../gen/jackfield/v1/tool_registry_pb.ts";
import type { Tool } from "../../../gen/jackfield/v1/tool_pb.ts";
import type { Caller } from "../../auth/caller.ts";
import { rpcError } from "../../errors.ts";
import type { Registry } from "../../registry/registry.ts";
import { callerWith } from "./check-request.ts";

/** Registers tools that live outside the process. */
export interface RemoteTools {
  /**
   * Registers a tool for the caller's tenant, or replaces one that the tenant registered earlier. Resolves with the
   * tool as it is now listed. Rejects with a ConnectError: invalid_argument for problems of the tool or its target.
   */
  register(request: RegisterToolRequest, caller: Caller): Promise<Tool>;
  /** Withdraws a tool that the caller's tenant has registered. Resolves with false if there is none. */
  unregister(name: string, caller: Caller): Promise<boolean>;
}

/** Creates the implementation of ToolRegistry. Without remote tools, its methods for registering are unimplemented. */
export function createToolRegistry(
  registry: Registry,
  remote: RemoteTools | undefined,
): ServiceImpl<typeof ToolRegistry> {
  return {
    async registerTool(request, context) {
      const { tool, target } = request;
      const caller = callerWith("tools:register", context);
      if (remote === undefined) throw rpcError("unimplemented", "RegisterTool");
      if (tool === undefined || tool.name === "") throw rpcError("invalid-request", "tool.name must be set");
      if (target?.target.case === undefined) throw rpcError("invalid-request", "target must name http or grpc");
      if (registry.get(tool.name) !== undefined) throw rpcError("tool-name-taken", tool.name);
      return { tool: await remote.register(request, caller) };
    },

    async unregisterTool({ name }, context) {
      const caller = callerWith("tools:register", context);
      if (remote === undefined) throw rpcError("unimplemented", "UnregisterTool");
      if (registry.get(name) !== undefined || !(await remote.unregister(name, caller))) {
        throw rpcError("tool-not-found", JSON.stringify(name));
      }
      return {};
    },
  };
}
