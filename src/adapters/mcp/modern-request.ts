import { isObject } from "../tool-call.ts";
import type { RequestMessage } from "./message.ts";
import { codes, McpError, reserved } from "./protocol.ts";

/** What the client of one modern request can do. */
export interface ClientCapabilities {
  /** The client follows tasks. */
  readonly tasks: boolean;
}

/** What the client of an older request can do. */
export const noCapabilities: ClientCapabilities = { tasks: false };

const withTasks: ClientCapabilities = { tasks: true };

/** Reads what a modern request says of its client. Throws an McpError where something that it must say is missing. */
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
