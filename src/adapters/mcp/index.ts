import type { Platform } from "../platform.ts";
import { createMcpAdapter } from "./adapter.ts";
import { createLineServer } from "./stdio.ts";
import { mcpConfiguration, type McpOwnSettings } from "./settings.ts";

/** The Model Context Protocol. */
export const mcp: Platform<McpOwnSettings> = {
  ...mcpConfiguration,
  instruments: [],
  connect(settings, { version, log, shutdown, service }) {
    const trusted = { hosts: service.hosts, origins: settings.allowedOrigins };
    const adapter = createMcpAdapter(settings, {
      version,
      log,
      trusted,
      metadataUrl: service.metadataUrl,
      taskTtlMs: service.windowMs,
      stateSecret: service.sharedSecret,
      shutdown,
    });
    return {
      adapter,
      serveLines: (parts) => createLineServer({ ...parts, door: adapter.door }),
      hostCheckedPaths: ["/mcp"],
    };
  },
};
