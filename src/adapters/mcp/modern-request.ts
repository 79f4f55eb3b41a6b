import { isObject } from "../tool-call.ts";
import type { RequestMessage } from "./message.ts";
import { codes, McpError, reserved } from "./protocol.ts";

/** What the client of one modern request can do. */
export interface ClientCapabilities {
  /** The client follows tasks. */
  readonly tasks: boolean;
}

/** Reads what a modern request says of its client. Throws an McpError where something that it must say is missing. */
export function capabilitiesOf({ meta }: RequestMessage): ClientCapabilities {
  const missing = [
    ...(typeof meta[reserved.protocolVersion] === "string" ? [] : [reserved.protocolVersion]),
    ...(isObject(meta[reserved.clientCapabilities]) ? [] : [reserved.clientCapabilities]),
  ];
  if (missing.length > 0) {
    throw new McpError(codes.invalidParams, `params._meta must hold ${missing.join(" and ")}`, { status: 400 });
  }
  const { extensions } = meta[reserved.clientCapabilities] as Record<string, unknown>;
  return { tasks: isObject(extensions) && isObject(extensions[reserved.tasks]) };
}
