import { adapterFrom } from "./adapters.ts";
import type { HttpConfig, McpConfig } from "./config.ts";
import type { Environment } from "./environment.ts";
import type { FileConfig } from "./schema.ts";
import { httpUrl } from "./values.ts";

/** The MCP door's settings. */
export function mcpFrom(environment: Environment, file: FileConfig): McpConfig {
  const own = file.adapters?.mcp;
  const allowedOrigins = own?.allowedOrigins ?? [];
  checkOrigins(environment, "adapters.mcp.allowedOrigins", allowedOrigins);
  return {
    ...adapterFrom(own, 50_000, 65_536),
    allowUnauthenticated: mayBeOpen(own, file),
    taskAfterMs: own?.taskAfterMs ?? 5000,
    pageSize: own?.pageSize ?? 100,
    listTtlMs: own?.listTtlMs ?? 60_000,
    allowedOrigins,
    instructions: own?.instructions ?? "",
  };
}

/** The plain HTTP door's settings. */
export function httpFrom(environment: Environment, file: FileConfig): HttpConfig {
  const own = file.adapters?.http;
  const corsOrigins = own?.corsOrigins ?? [];
  checkOrigins(environment, "adapters.http.corsOrigins", corsOrigins);
  const { publicUrl = "" } = own ?? {};
  const url = publicUrl === "" ? "" : httpUrl(environment, { key: "adapters.http.publicUrl", text: publicUrl });
  return {
    ...adapterFrom(own, 8000, 65_536),
    allowUnauthenticated: mayBeOpen(own, file),
    publicUrl: url ?? "",
    corsOrigins,
  };
}

/** A door serves the callers of the RPC: where that may be open, nothing more is given away by the door. */
function mayBeOpen(own: { allowUnauthenticated?: boolean } | undefined, file: FileConfig): boolean {
  return own?.allowUnauthenticated ?? file.rpc?.allowUnauthenticated ?? false;
}

function checkOrigins(environment: Environment, key: string, origins: readonly string[]): void {
  for (const origin of origins) {
    if (URL.parse(origin)?.origin === origin) continue;
    environment.fault(`${key} must hold origins such as https://app.example.com; found ${JSON.stringify(origin)}.`);
  }
}
