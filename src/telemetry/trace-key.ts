import { createContextKey, type ContextKey } from "@connectrpc/connect";
import type { Context } from "@opentelemetry/api";

/** Key of the id of the job that a call belongs to, in the context values of the call. Undefined: none. */
export const kJob: ContextKey<string | undefined> = createContextKey<string | undefined>(undefined, {
  description: "jackfield.job",
});

/** Key of the OpenTelemetry context that a call belongs to, in the context values of the call. Undefined: none. */
export const kTrace: ContextKey<Context | undefined> = createContextKey<Context | undefined>(undefined, {
  description: "jackfield.trace",
});
