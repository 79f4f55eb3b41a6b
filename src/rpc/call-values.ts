import { createContextKey, type ContextKey, type ContextValues } from "@connectrpc/connect";
import type { Context } from "@opentelemetry/api";
import type { Caller } from "../auth/caller.ts";
import { kTrace } from "../telemetry/trace-key.ts";

/** Key of the caller of a call, in its context values. */
export const kCaller: ContextKey<Caller | undefined> = createContextKey<Caller | undefined>(undefined, {
  description: "jackfield.caller",
});

/** Context values of one call: the caller and the trace at hand, anything else in a map made on first use. */
export class CallValues implements ContextValues {
  caller: Caller | undefined;
  trace: Context | undefined;
  #others: Map<symbol, unknown> | undefined;

  constructor(caller: Caller | undefined, trace: Context | undefined) {
    this.caller = caller;
    this.trace = trace;
  }

  get<T>(key: ContextKey<T>): T;
  get(key: ContextKey<unknown>): unknown {
    if (key.id === kCaller.id) return this.caller;
    if (key.id === kTrace.id) return this.trace;
    return this.#others?.has(key.id) ? this.#others.get(key.id) : key.defaultValue;
  }

  set<T>(key: ContextKey<T>, value: T): this {
    if (key.id === kCaller.id) this.caller = value as Caller | undefined;
    else if (key.id === kTrace.id) this.trace = value as Context | undefined;
    else (this.#others ??= new Map()).set(key.id, value);
    return this;
  }

  delete(key: ContextKey<unknown>): this {
    if (key.id === kCaller.id) this.caller = undefined;
    else if (key.id === kTrace.id) this.trace = undefined;
    else this.#others?.delete(key.id);
    return this;
  }
}
