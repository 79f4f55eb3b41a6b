import type { IncomingHttpHeaders } from "node:http";
import type { RequestMessage } from "./message.ts";
import { codes, McpError, modernVersion, reserved, supportedVersions } from "./protocol.ts";

/** The two ways to speak MCP: each request for itself (`modern`), or after a handshake (`older`). */
export type Era = "modern" | "older";

/**
 * Tells in which era a request speaks. Throws an McpError for a version that is not supported. Older clients may send
 * another version than the one that was agreed on: no state says which one it was.
 */
export function eraOf({ method, meta }: RequestMessage, headers: IncomingHttpHeaders | undefined): Era {
  const claimed = meta[reserved.protocolVersion];
  const header = headers?.["mcp-protocol-version"];
  const given = typeof header === "string" ? header.trim() : undefined;
  if (claimed !== undefined) {
    // Where header and body differ, that is the problem, and is found when the two are compared.
    const differs = given !== undefined && given !== claimed;
    if (typeof claimed === "string" && claimed !== modernVersion && !differs) throw unsupported(claimed);
    return "modern";
  }
  if (given !== undefined && !supportedVersions.includes(given)) throw unsupported(given);
  return given === modernVersion && method !== "initialize" ? "modern" : "older";
}

function unsupported(requested: string): McpError {
  return new McpError(codes.unsupportedVersion, `Unsupported protocol version: ${requested}`, {
    status: 400,
    data: { supported: supportedVersions, requested },
  });
}
