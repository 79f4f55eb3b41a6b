import type { Caller } from "../auth/caller.ts";
import type { Telemetry } from "./telemetry.ts";

/** A request that was rejected because of its key or its caller's scopes. */
export interface AccessRefusal {
  /** `unauthenticated`: no valid key. `permission_denied`: the caller lacks a scope, or the Host is not allowed. */
  readonly code: "unauthenticated" | "permission_denied";
  /** The RPC method or route as declared, never the text that the client sent. */
  readonly target: string;
  /** Undefined if the request is not authenticated. */
  readonly caller?: Caller | undefined;
  /** The reason, without secrets. */
  readonly reason: string;
}

/** Records rejected requests: a metric counts each, and a flood cannot multiply the lines in log and audit log. */
export interface AccessRefusals {
  record(refusal: AccessRefusal): void;
  /** Writes pending counts. */
  close(): void;
}

/** Maximum number of individual audit lines per second; further refusals share one line with their number. */
const linesPerSecond = 20;

/** Creates the recorder. */
export function createAccessRefusals({
  log,
  audit,
  metrics,
}: Pick<Telemetry, "log" | "audit" | "metrics">): AccessRefusals {
  let written = 0;
  let suppressed = 0;
  let timer: NodeJS.Timeout | undefined;

  const writeLine = (fields: Record<string, string | number | undefined>): void =>
    audit.write({ event: "access_refused", time: new Date().toISOString(), ...fields });
  const endSecond = (): void => {
    clearTimeout(timer);
    timer = undefined;
    written = 0;
    if (suppressed === 0) return;
    log.warn({ count: suppressed }, "further requests were refused: no valid key, or a missing scope");
    writeLine({ count: suppressed });
    suppressed = 0;
  };

  return {
    record({ code, target, caller, reason }) {
      metrics.accessRefused({ code, target });
      timer ??= setTimeout(endSecond, 1000).unref();
      if (written >= linesPerSecond) {
        suppressed += 1;
        return;
      }
      if (written === 0) log.warn({ code, target, caller: caller?.name, reason }, "a request was refused");
      written += 1;
      writeLine({ code, target, caller: caller?.name, tenant: caller?.tenant, reason });
    },
    close: endSecond,
  };
}
