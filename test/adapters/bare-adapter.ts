import type { Adapter } from "../../src/adapters/adapter.ts";
import { type AnswerRoute, PayloadError, type RequestFailure, type Route } from "../../src/adapters/route.ts";
import { toolCall } from "../../src/adapters/tool-call.ts";
import { startAdapter, type AdapterTestOptions } from "./start-adapter.ts";

/** The failures that routes had to answer since the last mount. */
export const failures: RequestFailure[] = [];
/** Answers a failure with its message. */
export const failure = (failed: RequestFailure) => {
  failures.push(failed);
  return { status: failed.status, body: JSON.stringify({ error: failed.message }) };
};

/** A route that answers each request with a call of `work`. */
export function answering(change: Partial<AnswerRoute> = {}): AnswerRoute {
  return {
    kind: "answer",
    method: "POST",
    path: "/answer",
    answerWithinMs: 5000,
    call(payload) {
      if (payload === null) throw new PayloadError("no call");
      return toolCall("1", "work", payload);
    },
    answer: (call, { output }) => JSON.stringify({ id: call.id, output }),
    failure,
    ...change,
  };
}

/** Serves an adapter with only this route. */
export function mounted(route: Route, options: Partial<AdapterTestOptions> = {}) {
  failures.length = 0;
  const adapter: Adapter = {
    name: "bare",
    identity: { kind: "keys", headers: [], keys: [], sanitize: "text", maxOutput: 256 },
    routes: [route],
  };
  return startAdapter({ tools: { work: (args) => args }, ...options, adapter });
}
