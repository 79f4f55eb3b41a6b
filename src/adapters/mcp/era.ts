import type { IncomingHttpHeaders } from "node:http";
import type { RequestMessage } from "./message.ts";
import { codes, McpError, modernVersion, reserved, supportedVersions } from "./protocol.ts";

/** The two variants of MCP: self-contained requests (`modern`), or requests after a handshake (`older`). */
export type Era = "modern" | "older";

/**
 * Returns the variant of a request. Throws an McpError for an unsupported version. Older clients may send a version
 * other than the negotiated one, because no state records which one that was.
 */
export function eraOf({ method, meta }: RequestMessage, headers: IncomingHttpHeaders | undefined): Era {
  const claimed = meta[reserved.protocolVersion];
  const header = headers?.["mcp-protocol-version"];
  const given = typeof header === "string" ? header.trim() : undefined;
  if (claimed !== undefined) {
    // If header and body differ, the comparison of the two reports the problem.
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
