import { ConfigError } from "../config/config-error.ts";
import { StoreRefusedError } from "../store/store-errors.ts";
import { StoreOpenError } from "./open-stores.ts";

/** Turns an error that keeps the service from starting into a ConfigError for its operator. Throws any other error on. */
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
