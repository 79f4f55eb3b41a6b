import { createContextKey, type ContextKey } from "@connectrpc/connect";
import type { Context } from "@opentelemetry/api";

/** Key for the id of the job that a call belongs to, among the call's context values. Undefined: none. */
export const kJob: ContextKey<string | undefined> = createContextKey<string | undefined>(undefined, {
  description: "jackfield.job",
});

/** Key for the OpenTelemetry context that a call belongs to, among the call's context values. Undefined: none. */
export const kTrace: ContextKey<Context | undefined> = createContextKey<Context | undefined>(undefined, {
  description: "jackfield.trace",
});
