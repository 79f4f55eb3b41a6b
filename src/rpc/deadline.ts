import { rpcError } from "../errors.ts";

/** Maximum deadline in milliseconds. Node's timers would fire immediately for a longer one. */
export const maxTimeoutMs = 2_147_483_647;

/**
 * Parses the caller's deadline from a `grpc-timeout` or `connect-timeout-ms` header, and returns milliseconds. Throws
 * invalid_argument if it is zero, negative, malformed or too long.
 */
export function timeoutFromHeader(value: string, kind: "connect" | "grpc"): number {
  const timeoutMs = kind === "connect" ? connectTimeout(value) : grpcTimeout(value);
  if (timeoutMs === undefined) {
    throw rpcError("invalid-request", `protocol error: invalid ${kind} timeout value: ${value}`);
  }
  if (timeoutMs <= 0) throw rpcError("invalid-request", `the ${kind} timeout must be greater than zero`);
  if (timeoutMs > maxTimeoutMs) throw rpcError("invalid-request", `timeout ${timeoutMs}ms must be <= ${maxTimeoutMs}`);
  return timeoutMs;
}

function connectTimeout(value: string): number | undefined {
  return /^\d{1,10}$/.test(value) ? Number(value) : undefined;
}

function grpcTimeout(value: string): number | undefined {
  const unit = unitMs.get(value.slice(-1));
  return unit !== undefined && /^\d{1,8}.$/.test(value) ? Number(value.slice(0, -1)) * unit : undefined;
}

const unitMs: ReadonlyMap<string, number> = new Map([
  ["H", 3_600_000],
  ["M", 60_000],
  ["S", 1000],
  ["m", 1],
  ["u", 0.001],
  ["n", 0.000001],
]);
