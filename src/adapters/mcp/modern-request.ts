import { isObject } from "../tool-call.ts";
import type { RequestMessage } from "./message.ts";
import { codes, McpError, reserved } from "./protocol.ts";

/** Capabilities of the client of one modern request. */
export interface ClientCapabilities {
  /** Whether the client supports tasks. */
  readonly tasks: boolean;
}

/** Capabilities of the client of an older request. */
export const noCapabilities: ClientCapabilities = { tasks: false };

const withTasks: ClientCapabilities = { tasks: true };

/** Returns the client capabilities in a modern request. Throws an McpError if a required member is missing. */
export function capabilitiesOf({ meta }: RequestMessage): ClientCapabilities {
  const version = meta[reserved.protocolVersion];
  const capabilities = meta[reserved.clientCapabilities];
  if (typeof version !== "string" || !isObject(capabilities)) {
    const missing = [
      ...(typeof version === "string" ? [] : [reserved.protocolVersion]),
      ...(isObject(capabilities) ? [] : [reserved.clientCapabilities]),
    ];
    throw new McpError(codes.invalidParams, `params._meta must contain ${missing.join(" and ")}`, { status: 400 });
  }
  const { extensions } = capabilities;
  return isObject(extensions) && isObject(extensions[reserved.tasks]) ? withTasks : noCapabilities;
}
