import { ConfigError } from "../config/config-error.ts";
import { StoreRefusedError } from "../store/store-errors.ts";
import { StoreOpenError } from "./open-stores.ts";

/** Converts an error that prevents the start into a ConfigError for the operator. Rethrows any other error. */
export function asConfigError(reason: unknown): never {
  if (reason instanceof StoreRefusedError || reason instanceof StoreOpenError) throw new ConfigError([reason.message]);
  const { code, address, port } = (reason ?? {}) as { code?: unknown; address?: unknown; port?: unknown };
  if (code === "EADDRINUSE")
    throw new ConfigError([`PORT: ${String(address)}:${String(port)} is in use by another program.`]);
  if (code === "EACCES" || code === "EADDRNOTAVAIL") {
    throw new ConfigError([`HOST and PORT: ${String(address)}:${String(port)} cannot be listened on (${code}).`]);
  }
  throw reason;
}
